//! Runs of pipelines and their items.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, QueryTrait, RelationTrait, Select,
    UpdateMany, raw_sql,
    sea_query::{Expr, ExprTrait, LockType},
};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::{failure::Failure, file::FileState, run::RunState},
    entity::{pipeline, pipeline_version, run, run_item, workspace},
    id::{FileId, ItemId, PipelineId, RunId, SpaceId, VersionId, WorkspaceId},
    pipeline::state::PipelineState,
};

/// A pipeline at one version.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `pipeline` and `pipeline_version`")]
pub struct Pipeline {
    pub id: PipelineId,
    pub version: i32,
    pub definition: Json,
}

/// The pipeline that processes uploads: the built-in one, if it is enabled.
pub async fn upload_pipeline(conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<Pipeline>> {
    pipeline::Entity::find()
        .select_only()
        .columns([pipeline::Column::Id, pipeline::Column::Version])
        .column(pipeline_version::Column::Definition)
        .join(JoinType::InnerJoin, pipeline::Relation::Version.def())
        .filter(pipeline::Column::WorkspaceId.eq(workspace))
        .filter(pipeline::Column::Builtin.into_expr())
        .filter(pipeline::Column::State.eq(PipelineState::Enabled))
        .into_model()
        .one(conn)
        .await
}

/// Adds a run with one item, which is at `stage`.
pub async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    pipeline: &Pipeline,
    file: FileId,
    version: VersionId,
    stage: &str,
) -> Result<(RunId, ItemId)> {
    let (run, item) = (RunId::new(), ItemId::new());
    let new_run = run::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(run),
        pipeline_id: Set(pipeline.id),
        pipeline_version: Set(pipeline.version),
        ..Default::default()
    };
    run::Entity::insert(new_run).exec_without_returning(tx).await?;
    let new_item = run_item::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(item),
        run_id: Set(run),
        file_id: Set(file),
        version_id: Set(version),
        stage: Set(stage.to_owned()),
        ..Default::default()
    };
    run_item::Entity::insert(new_item).exec_without_returning(tx).await?;
    Ok((run, item))
}

/// An item, with the pipeline definition of its run.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `run_item` and `pipeline_version`")]
pub struct Item {
    pub id: ItemId,
    pub run_id: RunId,
    pub file_id: FileId,
    pub version_id: VersionId,
    pub state: FileState,
    pub done: i32,
    pub total: Option<i32>,
    pub definition: Json,
    /// The workspace's current default space.
    pub space_id: Option<SpaceId>,
}

fn select_item(workspace: WorkspaceId, item: ItemId) -> Select<run_item::Entity> {
    use run_item::Column;
    run_item::Entity::find_by_id((workspace, item))
        .select_only()
        .columns([
            Column::Id,
            Column::RunId,
            Column::FileId,
            Column::VersionId,
            Column::State,
            Column::Done,
            Column::Total,
        ])
        .column(pipeline_version::Column::Definition)
        .column_as(workspace::Column::DefaultSpaceId, "space_id")
        .join(JoinType::InnerJoin, run_item::Relation::Workspace.def())
        .join(JoinType::InnerJoin, run_item::Relation::Run.def())
        .join(JoinType::InnerJoin, run::Relation::Definition.def())
}

/// An item; `None` if its file was deleted.
pub async fn find_item(conn: &impl Conn, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    select_item(workspace, item).into_model().one(conn).await
}

/// Like [`find_item`], and locks the item; [`super::locks::lock_item`] locks its file before.
pub(super) async fn lock_item(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    let mut select = select_item(workspace, item);
    QueryTrait::query(&mut select).lock_with_tables(LockType::Update, [run_item::Entity]);
    select.into_model().one(tx).await
}

fn update_item(workspace: WorkspaceId, item: ItemId) -> UpdateMany<run_item::Entity> {
    run_item::Entity::update_many()
        .col_expr(run_item::Column::UpdatedAt, sql::now())
        .filter(run_item::Column::WorkspaceId.eq(workspace))
        .filter(run_item::Column::Id.eq(item))
}

/// Marks the item as processing and its run as running.
pub async fn start_item(tx: &Tx, workspace: WorkspaceId, item: &Item) -> Result<()> {
    let processing = run_item::ActiveModel { state: Set(FileState::Processing), ..Default::default() };
    update_item(workspace, item.id).set(processing).exec(tx).await?;
    set_run_state(tx, workspace, item.run_id, RunState::Running).await
}

/// Moves an item to a stage with `total` units, of which none is done.
pub async fn enter_stage(tx: &Tx, workspace: WorkspaceId, item: ItemId, stage: &str, total: i32) -> Result<()> {
    let entered = run_item::ActiveModel {
        stage: Set(stage.to_owned()),
        done: Set(0),
        total: Set(Some(total)),
        ..Default::default()
    };
    update_item(workspace, item).set(entered).exec(tx).await?;
    Ok(())
}

/// Adds to the number of units done.
pub async fn add_done(tx: &Tx, workspace: WorkspaceId, item: ItemId, units: i32) -> Result<()> {
    let done = Expr::col(run_item::Column::Done).add(units);
    update_item(workspace, item).col_expr(run_item::Column::Done, done).exec(tx).await?;
    Ok(())
}

/// Finishes an item and, if it was the last one, its run.
pub async fn finish_item(tx: &Tx, workspace: WorkspaceId, item: &Item, failure: Option<&Failure>) -> Result<()> {
    let finished = run_item::ActiveModel {
        state: Set(if failure.is_some() { FileState::Failed } else { FileState::Ready }),
        failure_code: Set(failure.map(|failure| failure.code)),
        failure_detail: Set(failure.map(|failure| failure.detail.clone())),
        ..Default::default()
    };
    update_item(workspace, item.id).set(finished).exec(tx).await?;
    let run = item.run_id;
    let finish_run = raw_sql!(
        Postgres,
        "update run set finished_at = now(), state = case when exists (
                 select from run_item i where i.workspace_id = {workspace} and i.run_id = {run} and i.state = 'failed')
             then 'failed' else 'completed' end
         where workspace_id = {workspace} and id = {run} and not exists (
             select from run_item i where i.workspace_id = {workspace} and i.run_id = {run}
                 and i.state in ('queued', 'processing'))"
    );
    sql::execute(tx, finish_run).await?;
    Ok(())
}

async fn set_run_state(tx: &Tx, workspace: WorkspaceId, run: RunId, state: RunState) -> Result<()> {
    run::Entity::update_many()
        .set(run::ActiveModel { state: Set(state), ..Default::default() })
        .filter(run::Column::WorkspaceId.eq(workspace))
        .filter(run::Column::Id.eq(run))
        .exec(tx)
        .await?;
    Ok(())
}
