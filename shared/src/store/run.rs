//! Runs of pipelines. Their items: [`super::run_item`].
//!
//! A run counts its items in its own row, so that no statement counts rows; the row is locked after its items
//! ([docs/ARCHITECTURE.md](../../../docs/ARCHITECTURE.md#locks)).

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait, Select, SelectExt, UpdateMany, raw_sql,
    sea_query::{ExprTrait, LockType},
};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, history, sql};
use crate::{
    domain::{
        failure::Failure,
        run::{RunState, RunTrigger},
    },
    entity::{pipeline, pipeline_version, run},
    id::{AccountId, ItemId, PipelineId, RunId, WorkspaceId},
    pipeline::state::PipelineState,
};

/// A pipeline at one version.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `pipeline` and `pipeline_version`")]
pub struct Pipeline {
    pub id: PipelineId,
    pub name: String,
    pub version: i32,
    pub definition: Json,
}

fn select_pipelines(workspace: WorkspaceId) -> Select<pipeline::Entity> {
    pipeline::Entity::find()
        .select_only()
        .columns([pipeline::Column::Id, pipeline::Column::Name, pipeline::Column::Version])
        .column(pipeline_version::Column::Definition)
        .join(JoinType::InnerJoin, pipeline::Relation::Version.def())
        .filter(pipeline::Column::WorkspaceId.eq(workspace))
}

fn select_enabled(workspace: WorkspaceId) -> Select<pipeline::Entity> {
    select_pipelines(workspace)
        .filter(pipeline::Column::State.eq(PipelineState::Enabled))
        .filter(pipeline::Column::Inline.into_expr().not())
        .order_by_asc(pipeline::Column::Id)
}

/// The enabled pipelines of a workspace, oldest first.
pub async fn enabled_pipelines(conn: &impl Conn, workspace: WorkspaceId) -> Result<Vec<Pipeline>> {
    select_enabled(workspace).into_model().all(conn).await
}

/// As [`enabled_pipelines`], for an upload that starts runs of them: none of them is deleted before it ends.
pub async fn lock_enabled_pipelines(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<Pipeline>> {
    let mut enabled = select_enabled(workspace);
    QueryTrait::query(&mut enabled).lock_with_tables(LockType::KeyShare, [pipeline::Entity]);
    enabled.into_model().all(tx).await
}

/// Whether an enabled pipeline of the workspace runs after another one.
pub async fn has_followers(conn: &impl Conn, workspace: WorkspaceId) -> Result<bool> {
    let followers = raw_sql!(
        Postgres,
        "select exists (
             select from pipeline p
             join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
             where p.workspace_id = {workspace} and p.state = 'enabled' and not p.inline
                 and jsonb_path_exists(v.definition, '$.nodes[*].trigger.after'))"
    );
    Ok(sql::first_value(conn, followers).await?.unwrap_or(false))
}

/// A pipeline at its newest version.
pub async fn newest(conn: &impl Conn, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Pipeline>> {
    select_pipelines(workspace).filter(pipeline::Column::Id.eq(id)).into_model().one(conn).await
}

/// The definition that a version of a pipeline has.
pub async fn definition(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    version: i32,
) -> Result<Option<Json>> {
    pipeline_version::Entity::find_by_id((workspace, pipeline, version))
        .select_only()
        .column(pipeline_version::Column::Definition)
        .into_tuple()
        .one(conn)
        .await
}

/// A run to be added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `run`")]
pub struct NewRun {
    pub pipeline: PipelineId,
    pub version: i32,
    pub trigger: RunTrigger,
    pub preview: bool,
    pub low_priority: bool,
    pub recompute_from: Option<String>,
    pub origin: Option<RunId>,
    /// The files that enter one page after another; `None`: all items are added with the run.
    pub selection: Option<Json>,
    pub started_by: Option<AccountId>,
    /// The code versions of the definition's node types.
    pub code_versions: Option<Json>,
    /// The largest cost of its calls of models, in millionths.
    pub budget: Option<i64>,
    /// Whether its sources list connections.
    pub syncs: bool,
    /// Whether it counts what would change, and writes nothing.
    pub dry_run: bool,
    /// The address that gets a message when it has ended.
    pub webhook_url: Option<String>,
}

impl NewRun {
    /// A run of a pipeline, of which the caller adds all items.
    #[must_use]
    pub const fn new(pipeline: PipelineId, version: i32, trigger: RunTrigger) -> Self {
        Self {
            pipeline,
            version,
            trigger,
            preview: false,
            low_priority: false,
            recompute_from: None,
            origin: None,
            selection: None,
            started_by: None,
            code_versions: None,
            budget: None,
            syncs: false,
            dry_run: false,
            webhook_url: None,
        }
    }
}

/// Adds a run.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, new: NewRun) -> Result<RunId> {
    let id = RunId::new();
    let admitted = new.selection.is_none();
    let row = run::ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        pipeline_id: Set(new.pipeline),
        pipeline_version: Set(new.version),
        trigger: Set(new.trigger),
        preview: Set(new.preview),
        low_priority: Set(new.low_priority),
        recompute_from: Set(new.recompute_from),
        origin_run_id: Set(new.origin),
        selection: Set(new.selection),
        admitted: Set(admitted),
        started_by: Set(new.started_by),
        code_versions: Set(new.code_versions),
        budget: Set(new.budget),
        syncs: Set(new.syncs),
        dry_run: Set(new.dry_run),
        webhook_url: Set(new.webhook_url),
        ..Default::default()
    };
    run::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

pub(super) fn update_run(workspace: WorkspaceId, run: RunId) -> UpdateMany<run::Entity> {
    run::Entity::update_many().filter(run::Column::WorkspaceId.eq(workspace)).filter(run::Column::Id.eq(run))
}

/// Ends a run of which every file has entered and every item is finished. `failure`: that of the run. Returns its state, if it
/// ended: it is not complete while items are cancelled or files were left out. The transaction has locked the usage of the workspace,
/// which the end changes, before the run ([`history::lock`]).
pub async fn finish_run(
    tx: &Tx,
    workspace: WorkspaceId,
    run: RunId,
    failure: Option<&Failure>,
) -> Result<Option<RunState>> {
    let (code, detail) = (failure.map(|failure| failure.code), failure.map(|failure| failure.detail.clone()));
    let finish = raw_sql!(
        Postgres,
        "update run set finished_at = now(), failure_code = {code}, failure_detail = {detail},
             state = case when {code}::text is not null then 'failed'
                 when items_failed > 0 or objects_failed > 0 or checkpoint is not null or exists (
                     select from run_item i
                     where i.workspace_id = run.workspace_id and i.run_id = run.id and i.state = 'cancelled')
                 then 'completed_with_errors' else 'completed' end
         where workspace_id = {workspace} and id = {run} and state in ('queued', 'running') and admitted
             and items_open <= 0 and objects_pending <= 0
         returning state"
    );
    sql::first_value(tx, finish).await
}

/// Ends a run before its items: those that are not finished are cancelled. Its jobs must be deleted, and its items locked, before
/// ([`crate::runs::lock_open`]). Returns the files and versions of the items that ended; `None`: the run had ended already.
pub async fn abort(
    tx: &Tx,
    workspace: WorkspaceId,
    run: RunId,
    state: RunState,
    failure: Option<&Failure>,
) -> Result<Option<Vec<ItemId>>> {
    let items = raw_sql!(
        Postgres,
        "update run_item set state = 'cancelled', finished_at = now(), updated_at = now()
         where (workspace_id, id) in (
             select workspace_id, id from run_item
             where workspace_id = {workspace} and run_id = {run} and state in ('queued', 'running') order by id for update)
         returning id"
    );
    let items: Vec<ItemId> = sql::all_values(tx, items).await?;
    // Before the run, whose end changes it.
    history::lock(tx, workspace).await?;
    let (code, detail) = (failure.map(|failure| failure.code), failure.map(|failure| failure.detail.clone()));
    // The checkpoint stays where files were left out: `admit_again`.
    let aborted = raw_sql!(
        Postgres,
        "update run set state = {state}, finished_at = now(), items_open = 0, objects_pending = 0,
             checkpoint = case when admitted then checkpoint else coalesce(checkpoint, jsonb_build_object()) end, admitted = true,
             failure_code = {code}, failure_detail = {detail}
         where workspace_id = {workspace} and id = {run} and state in ('queued', 'running')"
    );
    Ok((sql::execute(tx, aborted).await? == 1).then_some(items))
}

/// Opens a run again that ended before all of its files had entered, so that the others do. Locks the usage of the workspace, which that
/// changes, before the run. `false`: it did not. A sync is left out: later ones have read the objects that it did not list.
pub async fn admit_again(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<bool> {
    history::lock(tx, workspace).await?;
    let opened = raw_sql!(
        Postgres,
        "update run set admitted = false, state = 'running', finished_at = null, failure_code = null, failure_detail = null,
             webhook_delivered_at = null, webhook_failure = null
         where workspace_id = {workspace} and id = {run} and admitted and checkpoint is not null and not syncs"
    );
    Ok(sql::execute(tx, opened).await? == 1)
}

/// A run.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, run: RunId) -> Result<Option<run::Model>> {
    run::Entity::find_by_id((workspace, run)).one(conn).await
}

/// Like [`find`], and locks the row. Items may be added meanwhile, which refer to it.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<Option<run::Model>> {
    run::Entity::find_by_id((workspace, run)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// Whether a run has a receiver that is told of its end.
pub async fn has_webhook(conn: &impl Conn, workspace: WorkspaceId, run: RunId) -> Result<bool> {
    run::Entity::find_by_id((workspace, run)).filter(run::Column::WebhookUrl.is_not_null()).exists(conn).await
}

/// Records that the receiver of a run knows of this end of it.
pub async fn set_delivered(tx: &Tx, workspace: WorkspaceId, run: RunId, finished_at: DateTime<Utc>) -> Result<()> {
    let delivered = raw_sql!(
        Postgres,
        "update run set webhook_delivered_at = now(), webhook_failure = null
         where workspace_id = {workspace} and id = {run} and finished_at = {finished_at}"
    );
    sql::execute(tx, delivered).await?;
    Ok(())
}

/// Records why the receiver of a run that has ended will not know of it.
pub async fn set_undeliverable(tx: &Tx, workspace: WorkspaceId, run: RunId, failure: &str) -> Result<()> {
    let failed = raw_sql!(
        Postgres,
        "update run set webhook_failure = {failure}
         where workspace_id = {workspace} and id = {run} and finished_at is not null and webhook_delivered_at is null"
    );
    sql::execute(tx, failed).await?;
    Ok(())
}

/// Whether a run of a pipeline with this trigger goes on.
pub async fn has_open(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId, trigger: RunTrigger) -> Result<bool> {
    let open = run::Entity::find()
        .filter(run::Column::WorkspaceId.eq(workspace))
        .filter(run::Column::PipelineId.eq(pipeline))
        .filter(run::Column::Trigger.eq(trigger))
        .filter(run::Column::FinishedAt.is_null());
    open.exists(tx).await
}

/// Records the code versions of the node types of a run, where its start could not tell them.
pub async fn set_code_versions(tx: &Tx, workspace: WorkspaceId, run: RunId, code_versions: Json) -> Result<()> {
    let row = run::ActiveModel { code_versions: Set(Some(code_versions)), ..Default::default() };
    update_run(workspace, run).set(row).exec(tx).await?;
    Ok(())
}

/// The runs of a pipeline that go on, oldest first.
pub async fn open_of_pipeline(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId) -> Result<Vec<RunId>> {
    let open = run::Entity::find()
        .select_only()
        .column(run::Column::Id)
        .filter(run::Column::WorkspaceId.eq(workspace))
        .filter(run::Column::PipelineId.eq(pipeline))
        .filter(run::Column::FinishedAt.is_null())
        .order_by_asc(run::Column::Id);
    open.into_tuple().all(tx).await
}

/// Records how far the source of a run was read, and whether that was all of it.
pub async fn set_checkpoint(
    tx: &Tx,
    workspace: WorkspaceId,
    run: RunId,
    checkpoint: Option<Json>,
    admitted: bool,
) -> Result<()> {
    let row = run::ActiveModel { checkpoint: Set(checkpoint), admitted: Set(admitted), ..Default::default() };
    update_run(workspace, run).set(row).exec(tx).await?;
    Ok(())
}
