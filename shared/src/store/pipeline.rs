//! Pipelines and the versions of their definitions.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, raw_sql,
    sea_query::{ExprTrait, LockType, OnConflict},
};
use serde_json::{Value as Json, json};

use super::{Conn, Error, Result, Tx, run, sql, target};
use crate::{
    clock,
    entity::{
        pipeline::{ActiveModel, Column, Entity, Model},
        pipeline_version,
    },
    id::{PipelineId, WorkspaceId},
    pipeline::{
        Definition, InvalidDefinition, builtin,
        node::{
            Settings,
            source_connection::SourceConnection,
            source_files::{Missed, SourceFiles, Trigger},
        },
        state::PipelineState,
    },
};

/// Adds the pipeline that a workspace is created with. Its definition must compile.
pub async fn insert_builtin(tx: &Tx, workspace: WorkspaceId, definition: &Definition) -> Result<()> {
    let new = NewPipeline { name: builtin::NAME, builtin: true, inline: false, state: PipelineState::Enabled };
    match insert(tx, workspace, &new, definition.to_json()).await? {
        Some(_) => Ok(()),
        None => Err(Error::RecordNotInserted),
    }
}

/// A pipeline to add.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "columns of `pipeline`")]
pub struct NewPipeline<'a> {
    pub name: &'a str,
    pub builtin: bool,
    /// Whether it is made for one run, with a definition of its own.
    pub inline: bool,
    pub state: PipelineState,
}

/// Adds a pipeline with the first version of its definition. `None`: the workspace has a pipeline of this name.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, new: &NewPipeline<'_>, definition: Json) -> Result<Option<Model>> {
    let id = PipelineId::new();
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(id),
        name: Set(new.name.to_owned()),
        builtin: Set(new.builtin),
        inline: Set(new.inline),
        state: Set(new.state),
        ..ActiveModel::default()
    };
    let unique_name = OnConflict::columns([Column::WorkspaceId, Column::Name])
        .target_and_where(Column::Inline.into_expr().not())
        .do_nothing()
        .to_owned();
    let rows = Entity::insert(row).on_conflict(unique_name).exec_without_returning(tx).await;
    match rows {
        Ok(_) => {}
        Err(Error::RecordNotInserted) => return Ok(None),
        Err(error) => return Err(error),
    }
    let Some(model) = find(tx, workspace, id).await? else { return Ok(None) };
    insert_version(tx, workspace, id, model.version, definition).await?;
    Ok(Some(model))
}

/// A pipeline.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).one(conn).await
}

/// Like [`find`], and locks the row: one change at a time.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Model>> {
    // Not `for update`, which would block uploads, and workers that write for the pipeline.
    Entity::find_by_id((workspace, id)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// Like [`lock`], for a pipeline that is to be deleted: waits for uploads that start runs of it, and lets no other begin.
pub async fn lock_for_deletion(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).lock(LockType::Update).one(tx).await
}

/// Pipelines before `before`, newest first.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<PipelineId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Inline.into_expr().not());
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// The names of a workspace's pipelines.
pub async fn names(conn: &impl Conn, workspace: WorkspaceId) -> Result<BTreeSet<String>> {
    let names: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Name)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Inline.into_expr().not())
        .into_tuple()
        .all(conn)
        .await?;
    Ok(names.into_iter().collect())
}

/// The name of an enabled pipeline whose newest definition has a node with these settings.
pub async fn enabled_with_node(conn: &impl Conn, workspace: WorkspaceId, settings: &Json) -> Result<Option<String>> {
    let node = json!({ "nodes": [settings] });
    let users = raw_sql!(
        Postgres,
        "select p.name from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         where p.workspace_id = {workspace} and p.state = 'enabled' and not p.inline and v.definition @> {node}
         order by p.name limit 1"
    );
    sql::first_value(conn, users).await
}

/// The number of pipelines of a workspace.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId) -> Result<u64> {
    let own = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Inline.into_expr().not());
    own.count(conn).await
}

/// A version of a pipeline's definition.
pub async fn find_version(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: PipelineId,
    number: i32,
) -> Result<Option<pipeline_version::Model>> {
    pipeline_version::Entity::find_by_id((workspace, id, number)).one(conn).await
}

/// The versions of a pipeline before `before`, newest first.
pub async fn list_versions(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: PipelineId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<pipeline_version::Model>> {
    use pipeline_version::Column;
    let mut query =
        pipeline_version::Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::PipelineId.eq(id));
    if let Some(before) = before {
        query = query.filter(Column::Number.lt(before));
    }
    query.order_by_desc(Column::Number).limit(sql::row_limit(limit)).all(conn).await
}

/// Adds a version, which is never updated.
pub async fn insert_version(
    tx: &Tx,
    workspace: WorkspaceId,
    id: PipelineId,
    number: i32,
    definition: Json,
) -> Result<()> {
    let row = pipeline_version::ActiveModel {
        workspace_id: Set(workspace),
        pipeline_id: Set(id),
        number: Set(number),
        definition: Set(definition),
        ..pipeline_version::ActiveModel::default()
    };
    pipeline_version::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether another pipeline of the workspace has this name.
pub async fn is_name_taken(tx: &Tx, workspace: WorkspaceId, id: PipelineId, name: &str) -> Result<bool> {
    let others = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Id.ne(id));
    Ok(others.filter(Column::Name.eq(name)).filter(Column::Inline.into_expr().not()).count(tx).await? > 0)
}

/// Stores name, state and version of a pipeline that this transaction has locked; raises its revision.
pub async fn update(tx: &Tx, model: &Model) -> Result<Model> {
    let row = ActiveModel {
        workspace_id: Set(model.workspace_id),
        id: Set(model.id),
        name: Set(model.name.clone()),
        state: Set(model.state),
        version: Set(model.version),
        next_run_at: Set(model.next_run_at),
        revision: Set(model.revision + 1),
        updated_at: Set(clock::now()),
        ..ActiveModel::default()
    };
    Entity::update(row).exec(tx).await
}

/// Deletes a pipeline with its versions, its runs, and everything that it has written. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<bool> {
    target::delete_of_pipeline(tx, workspace, id).await?;
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}

/// The first time after `after` at which a schedule of the definition starts a run; `None`: it has none.
///
/// # Errors
/// When this version cannot compile the definition, which a newer one has stored.
pub fn next_run(
    pipeline: PipelineId,
    definition: &Json,
    after: DateTime<Utc>,
) -> std::result::Result<Option<DateTime<Utc>>, InvalidDefinition> {
    let compiled = crate::pipeline::compile(definition)?;
    let sources = compiled.plan.segments.iter().map(|segment| &segment.steps[0].settings);
    let times = sources.filter_map(|settings| match settings {
        Settings::SourceFiles(SourceFiles { trigger: Trigger::Schedule(schedule), .. }) => {
            schedule.next_after(after).ok()
        }
        Settings::SourceConnection(SourceConnection { schedule: Some(schedule), jitter_seconds, .. }) => {
            let next = schedule.next_after(after).ok()?;
            Some(next + TimeDelta::seconds(jitter(pipeline, *jitter_seconds)))
        }
        _ => None,
    });
    Ok(times.min())
}

/// Whether all schedules of the definition leave out the times that no worker was there for.
fn skips_missed(definition: &Json) -> bool {
    let Ok(compiled) = crate::pipeline::compile(definition) else { return false };
    let sources = compiled.plan.segments.iter().map(|segment| &segment.steps[0].settings);
    let mut schedules = sources.filter_map(|settings| match settings {
        Settings::SourceFiles(SourceFiles { trigger: Trigger::Schedule(schedule), .. }) => Some(schedule),
        Settings::SourceConnection(SourceConnection { schedule, .. }) => schedule.as_ref(),
        _ => None,
    });
    schedules.all(|schedule| schedule.missed == Missed::Skip)
}

/// The seconds after its time at which a schedule starts a pipeline: always the same for a pipeline, and spread over all of them.
fn jitter(pipeline: PipelineId, seconds: u32) -> i64 {
    let part =
        (u64::try_from(pipeline.0.as_u128() & u128::from(u32::MAX)).unwrap_or_default() * u64::from(seconds)) >> 32;
    i64::try_from(part).unwrap_or_default()
}

/// A pipeline that is due by its schedule, the one that waits longest, except these.
pub async fn next_due(conn: &impl Conn, except: Vec<PipelineId>) -> Result<Option<(WorkspaceId, PipelineId)>> {
    let due = raw_sql!(
        Postgres,
        "select workspace_id, id from pipeline
         where next_run_at <= now() and state = 'enabled' and id <> all({except}::uuid[])
         order by next_run_at limit 1"
    );
    sql::first_value(conn, due).await
}

/// A pipeline that is due by its schedule.
#[derive(Clone, Debug)]
pub struct DuePipeline {
    /// The pipeline.
    pub pipeline: run::Pipeline,
    /// The time of the schedule.
    pub due_at: DateTime<Utc>,
}

impl DuePipeline {
    /// Whether the time was missed, and the schedule leaves such times out.
    #[must_use]
    pub fn is_left_out(&self, now: DateTime<Utc>) -> bool {
        now - self.due_at > MISSED_AFTER && skips_missed(&self.pipeline.definition)
    }
}

/// How long after its time a scheduled run may start that misses no time: workers are busy, or being replaced.
const MISSED_AFTER: TimeDelta = TimeDelta::minutes(10);

#[derive(FromQueryResult)]
struct DueRow {
    id: PipelineId,
    name: String,
    version: i32,
    definition: Json,
    next_run_at: DateTime<Utc>,
}

/// Locks a pipeline that is due; `None`: another worker was faster, or it changed.
pub async fn lock_due(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<Option<DuePipeline>> {
    let due = raw_sql!(
        Postgres,
        "select p.id, p.name, p.version, v.definition, p.next_run_at
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         where p.workspace_id = {workspace} and p.id = {id} and p.next_run_at <= now() and p.state = 'enabled'
         for no key update of p"
    );
    let row: Option<DueRow> = sql::first(tx, due).await?;
    Ok(row.map(|DueRow { id, name, version, definition, next_run_at }| DuePipeline {
        pipeline: run::Pipeline { id, name, version, definition },
        due_at: next_run_at,
    }))
}

/// Locks a pipeline that is enabled.
pub async fn lock_enabled(tx: &Tx, workspace: WorkspaceId, id: PipelineId) -> Result<Option<run::Pipeline>> {
    let enabled = raw_sql!(
        Postgres,
        "select p.id, p.name, p.version, v.definition
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         where p.workspace_id = {workspace} and p.id = {id} and p.state = 'enabled'
         for no key update of p"
    );
    sql::first(tx, enabled).await
}

/// Sets when the schedule of a pipeline starts the next run.
pub async fn set_next_run(tx: &Tx, workspace: WorkspaceId, id: PipelineId, next: Option<DateTime<Utc>>) -> Result<()> {
    let row = ActiveModel { next_run_at: Set(next), ..ActiveModel::default() };
    Entity::update_many().set(row).filter(Column::WorkspaceId.eq(workspace)).filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// A pipeline of one run that may go: each of its runs ended longer than `age` ago, and nothing that it wrote is left.
pub async fn next_expired_inline(conn: &impl Conn, age: Duration) -> Result<Option<(WorkspaceId, PipelineId)>> {
    let age_seconds = age.as_secs_f64();
    let expired = raw_sql!(
        Postgres,
        "select p.workspace_id, p.id from pipeline p
         where p.inline and p.created_at < now() - make_interval(secs => {age_seconds})
             and not exists (
                 select from run r where r.workspace_id = p.workspace_id and r.pipeline_id = p.id
                     and (r.finished_at is null or r.finished_at > now() - make_interval(secs => {age_seconds})))
             and not exists (select from target t where t.workspace_id = p.workspace_id and t.pipeline_id = p.id)
             and not exists (
                 select from file f where f.workspace_id = p.workspace_id and f.parent_id is not null
                     and f.source = 'pipeline:' || p.id::text)
         order by p.id limit 1"
    );
    sql::first_value(conn, expired).await
}
