//! Runs of pipelines and their items.

use sea_orm::FromQueryResult;
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::{failure::Failure, file::FileState, run::RunState},
    id::{FileId, ItemId, PipelineId, RunId, SpaceId, VersionId, WorkspaceId},
};

/// A pipeline at one version.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `pipeline` and `pipeline_version`")]
pub struct Pipeline {
    pub id: PipelineId,
    pub version: i32,
    pub definition: Json,
}

/// The workspace's built-in `index` pipeline.
pub async fn builtin_pipeline(conn: &impl Conn, workspace: WorkspaceId) -> Result<Option<Pipeline>> {
    sql::first(
        conn,
        "select p.id, p.version, v.definition
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         where p.workspace_id = $1 and p.builtin",
        [workspace.into()],
    )
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
    sql::execute(
        tx,
        "insert into run (workspace_id, id, pipeline_id, pipeline_version) values ($1, $2, $3, $4)",
        [workspace.into(), run.into(), pipeline.id.into(), pipeline.version.into()],
    )
    .await?;
    sql::execute(
        tx,
        "insert into run_item (workspace_id, id, run_id, file_id, version_id, stage) values ($1, $2, $3, $4, $5, $6)",
        [workspace.into(), item.into(), run.into(), file.into(), version.into(), stage.into()],
    )
    .await?;
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

const ITEM: &str = "
    select i.id, i.run_id, i.file_id, i.version_id, i.state, i.done, i.total, v.definition, w.default_space_id as space_id
    from run_item i
    join workspace w on w.id = i.workspace_id
    join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
    join pipeline_version v on v.workspace_id = r.workspace_id
        and v.pipeline_id = r.pipeline_id and v.number = r.pipeline_version
    where i.workspace_id = $1 and i.id = $2";

/// An item; `None` if its file was deleted.
pub async fn find_item(conn: &impl Conn, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    sql::first(conn, ITEM, [workspace.into(), item.into()]).await
}

/// Like [`find_item`], and locks the item, so that one transaction at a time decides whether the item is finished.
pub async fn lock_item(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<Option<Item>> {
    sql::first(tx, &format!("{ITEM} for update of i"), [workspace.into(), item.into()]).await
}

/// Marks the item as processing and its run as running.
pub async fn start_item(tx: &Tx, workspace: WorkspaceId, item: &Item) -> Result<()> {
    sql::execute(
        tx,
        "update run_item set state = 'processing', updated_at = now() where workspace_id = $1 and id = $2",
        [workspace.into(), item.id.into()],
    )
    .await?;
    set_run_state(tx, workspace, item.run_id, RunState::Running).await
}

/// Moves an item to a stage with `total` units, of which none is done.
pub async fn enter_stage(tx: &Tx, workspace: WorkspaceId, item: ItemId, stage: &str, total: i32) -> Result<()> {
    sql::execute(
        tx,
        "update run_item set stage = $3, done = 0, total = $4, updated_at = now() where workspace_id = $1 and id = $2",
        [workspace.into(), item.into(), stage.into(), total.into()],
    )
    .await?;
    Ok(())
}

/// Adds to the number of units done.
pub async fn add_done(tx: &Tx, workspace: WorkspaceId, item: ItemId, units: i32) -> Result<()> {
    sql::execute(
        tx,
        "update run_item set done = done + $3, updated_at = now() where workspace_id = $1 and id = $2",
        [workspace.into(), item.into(), units.into()],
    )
    .await?;
    Ok(())
}

/// Finishes an item and, if it was the last one, its run.
pub async fn finish_item(tx: &Tx, workspace: WorkspaceId, item: &Item, failure: Option<&Failure>) -> Result<()> {
    let state = if failure.is_some() { FileState::Failed } else { FileState::Ready };
    sql::execute(
        tx,
        "update run_item set state = $3, failure_code = $4, failure_detail = $5, updated_at = now()
         where workspace_id = $1 and id = $2",
        [
            workspace.into(),
            item.id.into(),
            sea_orm::ActiveEnum::to_value(&state).into(),
            failure.map(|failure| sea_orm::ActiveEnum::to_value(&failure.code)).into(),
            failure.map(|failure| failure.detail.clone()).into(),
        ],
    )
    .await?;
    sql::execute(
        tx,
        "update run set finished_at = now(), state = case when exists (
                 select from run_item i where i.workspace_id = $1 and i.run_id = $2 and i.state = 'failed')
             then 'failed' else 'completed' end
         where workspace_id = $1 and id = $2 and not exists (
             select from run_item i where i.workspace_id = $1 and i.run_id = $2 and i.state in ('queued', 'processing'))",
        [workspace.into(), item.run_id.into()],
    )
    .await?;
    Ok(())
}

async fn set_run_state(tx: &Tx, workspace: WorkspaceId, run: RunId, state: RunState) -> Result<()> {
    sql::execute(
        tx,
        "update run set state = $3 where workspace_id = $1 and id = $2",
        [workspace.into(), run.into(), sea_orm::ActiveEnum::to_value(&state).into()],
    )
    .await?;
    Ok(())
}
