//! Connections to other systems: rows, checks, health, and calls in progress.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect, raw_sql,
    sea_query::{LockType, OnConflict},
};
use serde_json::Value as Json;

use super::{Conn, Error, Result, Tx, job::Claim, job_wait, sql};
use crate::{
    domain::connection::{CheckState, CheckStep},
    entity::connection::{ActiveModel, Column, Entity, Model},
    id::{CheckId, ConnectionId, PipelineId, WorkspaceId},
};

/// A connection to be added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `connection`")]
pub struct NewConnection<'a> {
    pub id: ConnectionId,
    pub provider: &'a str,
    pub name: &'a str,
    pub settings: &'a Json,
    /// The key's generation, and the sealed credentials.
    pub credentials: Option<(i32, Vec<u8>)>,
    pub enabled: bool,
}

/// Adds a connection. `false`: the workspace has one of this name.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, new: NewConnection<'_>) -> Result<bool> {
    let (key_id, credentials) = new.credentials.unzip();
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(new.id),
        provider: Set(new.provider.to_owned()),
        name: Set(new.name.to_owned()),
        settings: Set(new.settings.clone()),
        credentials: Set(credentials),
        key_id: Set(key_id),
        enabled: Set(new.enabled),
        ..ActiveModel::default()
    };
    let unless_taken = OnConflict::columns([Column::WorkspaceId, Column::Name]).do_nothing().to_owned();
    match Entity::insert(row).on_conflict(unless_taken).exec_without_returning(tx).await {
        Ok(0) | Err(Error::RecordNotInserted) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A connection.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).one(conn).await
}

/// The connection of this id, or of this name if no connection has the id.
pub async fn find_by_key(conn: &impl Conn, workspace: WorkspaceId, key: &str) -> Result<Option<Model>> {
    if let Ok(id) = key.parse()
        && let Some(row) = find(conn, workspace, ConnectionId(id)).await?
    {
        return Ok(Some(row));
    }
    Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(Column::Name.eq(key)).one(conn).await
}

/// Connections before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// All connections of a workspace, with their providers.
pub async fn providers(conn: &impl Conn, workspace: WorkspaceId) -> Result<Vec<(ConnectionId, String)>> {
    let all = Entity::find().select_only().column(Column::Id).column(Column::Provider);
    all.filter(Column::WorkspaceId.eq(workspace)).into_tuple().all(conn).await
}

/// Locks a connection until the transaction ends.
pub async fn lock(tx: &Tx, workspace: WorkspaceId, id: ConnectionId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// The properties of a connection that users change.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of `connection`")]
pub struct ConnectionSettings {
    pub name: String,
    pub settings: Json,
    /// `None`: unchanged; `Some(None)`: removed.
    pub credentials: Option<Option<(i32, Vec<u8>)>>,
    pub enabled: bool,
}

/// Stores the settings of a locked connection, under the workspace's lock. Waiting calls may be made at once. `false`: another
/// connection has the name.
pub async fn update(tx: &Tx, workspace: WorkspaceId, id: ConnectionId, settings: &ConnectionSettings) -> Result<bool> {
    let namesakes = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Name.eq(settings.name.as_str()))
        .filter(Column::Id.ne(id));
    if namesakes.count(tx).await? > 0 {
        return Ok(false);
    }
    let mut changed = ActiveModel {
        name: Set(settings.name.clone()),
        settings: Set(settings.settings.clone()),
        enabled: Set(settings.enabled),
        ..ActiveModel::default()
    };
    if let Some(credentials) = settings.credentials.clone() {
        let (key_id, credentials) = credentials.unzip();
        changed.key_id = Set(key_id);
        changed.credentials = Set(credentials);
    }
    Entity::update_many()
        .set(changed)
        .col_expr(Column::Revision, sql::incremented(Column::Revision))
        .col_expr(Column::UpdatedAt, sql::now())
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    reset_health(tx, workspace, id).await?;
    job_wait::wake_blocked(tx, workspace).await?;
    Ok(true)
}

/// A pipeline that names a connection.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `pipeline`")]
pub struct ConnectionUser {
    pub id: PipelineId,
    pub name: String,
    pub state: String,
    /// The ids of the nodes that name it.
    pub nodes: Vec<String>,
}

/// The pipelines whose newest definition names a connection, at most a thousand, oldest first.
pub async fn users(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<Vec<ConnectionUser>> {
    let users = raw_sql!(
        Postgres,
        "select p.id, p.name, p.state, named.nodes
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         join lateral (
             select coalesce(array_agg(node->>'id'), '{}') as nodes
             from jsonb_array_elements(v.definition->'nodes') node
             where node->>'connection' = {id}::uuid::text) named on named.nodes <> '{}'
         where p.workspace_id = {workspace} and not p.inline
         order by p.id limit 1000"
    );
    sql::all(conn, users).await
}

/// The nodes of the newest definitions that name a connection, with the names of their pipelines, at most a thousand, oldest pipelines
/// first.
pub async fn nodes(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<Vec<(String, Json)>> {
    let nodes = raw_sql!(
        Postgres,
        "select p.name, node
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         cross join lateral jsonb_array_elements(v.definition->'nodes') node
         where p.workspace_id = {workspace} and not p.inline and node->>'connection' = {id}::uuid::text
         order by p.id limit 1000"
    );
    sql::all_values(conn, nodes).await
}

/// Deletes a connection. `false`: there is none.
pub async fn delete(tx: &Tx, workspace: WorkspaceId, id: ConnectionId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
}

/// Records that a check was requested.
pub async fn request_check(tx: &Tx, workspace: WorkspaceId, id: ConnectionId, check: CheckId) -> Result<()> {
    let running = ActiveModel {
        check_id: Set(Some(check)),
        check_state: Set(Some(CheckState::Running)),
        check_steps: Set(Json::Array(Vec::new())),
        checked_at: Set(None),
        ..ActiveModel::default()
    };
    Entity::update_many()
        .set(running)
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Records the result of a check, unless a newer one was requested.
pub async fn finish_check(
    tx: &Tx,
    workspace: WorkspaceId,
    id: ConnectionId,
    check: CheckId,
    steps: &[CheckStep],
) -> Result<()> {
    let ok = !steps.iter().any(CheckStep::is_fatal);
    let finished = ActiveModel {
        check_state: Set(Some(if ok { CheckState::Ok } else { CheckState::Failed })),
        check_steps: Set(serde_json::to_value(steps).unwrap_or_default()),
        ..ActiveModel::default()
    };
    Entity::update_many()
        .set(finished)
        .col_expr(Column::CheckedAt, sql::now())
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Id.eq(id))
        .filter(Column::CheckId.eq(check))
        .exec(tx)
        .await?;
    if ok {
        reset_health(tx, workspace, id).await?;
        job_wait::wake_blocked(tx, workspace).await?;
    }
    Ok(())
}

/// Why a connection is not called for now.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `connection_health`")]
pub struct Block {
    pub connection_id: ConnectionId,
    pub blocked_until: DateTime<Utc>,
    pub reason: String,
    /// Seconds until then.
    pub seconds: f64,
}

/// The connections of a workspace that are not called for now.
pub async fn blocks(conn: &impl Conn, workspace: WorkspaceId) -> Result<Vec<Block>> {
    let blocks = raw_sql!(
        Postgres,
        "select connection_id, blocked_until, coalesce(reason, '') as reason,
             extract(epoch from blocked_until - now())::float8 as seconds
         from connection_health where workspace_id = {workspace} and blocked_until > now()"
    );
    sql::all(conn, blocks).await
}

/// Keeps all workers from calling a connection for some time.
pub async fn block(
    conn: &impl Conn,
    workspace: WorkspaceId,
    id: ConnectionId,
    delay: Duration,
    reason: &str,
) -> Result<()> {
    let seconds = delay.as_secs_f64();
    let blocked = raw_sql!(
        Postgres,
        "insert into connection_health as health (workspace_id, connection_id, blocked_until, reason)
         select workspace_id, id, now() + make_interval(secs => {seconds}), {reason}
         from connection where workspace_id = {workspace} and id = {id}
         on conflict (workspace_id, connection_id) do update set
             blocked_until = greatest(health.blocked_until, excluded.blocked_until), reason = excluded.reason"
    );
    sql::execute(conn, blocked).await?;
    Ok(())
}

/// Records that a call failed for a reason that may pass; returns the number of failures since the last success.
pub async fn record_failure(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId, reason: &str) -> Result<i32> {
    let failed = raw_sql!(
        Postgres,
        "insert into connection_health as health (workspace_id, connection_id, failures, reason)
         select workspace_id, id, 1, {reason} from connection where workspace_id = {workspace} and id = {id}
         on conflict (workspace_id, connection_id) do update set failures = health.failures + 1, reason = excluded.reason
         returning failures"
    );
    Ok(sql::first_value(conn, failed).await?.unwrap_or(1))
}

/// Records that a call succeeded. A block that goes on was made while the call was in progress, so it stays.
pub async fn record_success(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<()> {
    let succeeded = raw_sql!(
        Postgres,
        "update connection_health set failures = 0,
             blocked_until = case when blocked_until > now() then blocked_until end,
             reason = case when blocked_until > now() then reason end
         where workspace_id = {workspace} and connection_id = {id} and (failures > 0 or blocked_until <= now())"
    );
    sql::execute(conn, succeeded).await?;
    Ok(())
}

/// Records that the connection was changed, or that a check succeeded: calls are made again.
pub async fn reset_health(conn: &impl Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<()> {
    let reset = raw_sql!(
        Postgres,
        "update connection_health set failures = 0, blocked_until = null, reason = null
         where workspace_id = {workspace} and connection_id = {id} and (failures > 0 or blocked_until is not null)"
    );
    sql::execute(conn, reset).await?;
    Ok(())
}

/// Begins up to `wanted` calls of a job to a connection at the same time, within `limit` for all jobs. Returns how many it may make; 0:
/// others make as many as the limit allows. They end with the job, or when it is claimed again.
pub async fn begin_calls(tx: &Tx, id: ConnectionId, claim: &Claim, limit: i32, wanted: i32) -> Result<i32> {
    let (job, epoch) = (claim.id, claim.epoch);
    let lock =
        raw_sql!(Postgres, "select pg_advisory_xact_lock(hashtextextended('connection ' || {id}::uuid::text, 0))");
    sql::execute(tx, lock).await?;
    let begun = raw_sql!(
        Postgres,
        "insert into connection_call (connection_id, job_id, epoch, calls)
         select {id}, {job}, {epoch}, least({wanted}, {limit} - others.calls)
         from (
             select coalesce(sum(c.calls), 0)::integer as calls
             from connection_call c join job j on j.id = c.job_id and j.epoch = c.epoch and j.state = 'running'
             where c.connection_id = {id} and c.job_id <> {job}) others
         where others.calls < {limit}
         on conflict (connection_id, job_id) do update set epoch = excluded.epoch, calls = excluded.calls
         returning calls"
    );
    Ok(sql::first_value(tx, begun).await?.unwrap_or(0))
}
