//! Notifications of sources: which connections accept them, and the objects that they name, until a sync has read them.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, Tx, source_object::SourceNode, sql};
use crate::id::{ConnectionId, PipelineId, RunId, WorkspaceId};

/// How a connection accepts notifications.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Accepting {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The version of path and secret, from 1.
    pub version: i32,
    /// When the last notification was accepted.
    pub received_at: Option<DateTime<Utc>>,
}

/// Lets a connection accept notifications, under a new version of path and secret; returns it.
pub async fn renew(tx: &Tx, workspace: WorkspaceId, connection: ConnectionId) -> Result<i32> {
    let renewed = raw_sql!(
        Postgres,
        "insert into connection_notification as n (workspace_id, connection_id) values ({workspace}, {connection})
         on conflict (connection_id) do update set version = n.version + 1, created_at = now()
         returning version"
    );
    Ok(sql::first_value(tx, renewed).await?.unwrap_or(1))
}

/// How a connection accepts notifications; `None`: it does not.
pub async fn find(conn: &impl Conn, connection: ConnectionId) -> Result<Option<Accepting>> {
    let found = raw_sql!(
        Postgres,
        "select workspace_id, version, received_at from connection_notification where connection_id = {connection}"
    );
    sql::first(conn, found).await
}

/// Ends that a connection accepts notifications.
pub async fn remove(tx: &Tx, workspace: WorkspaceId, connection: ConnectionId) -> Result<()> {
    let removed = raw_sql!(
        Postgres,
        "delete from connection_notification where workspace_id = {workspace} and connection_id = {connection}"
    );
    sql::execute(tx, removed).await?;
    Ok(())
}

/// Records objects for each source of an enabled pipeline that reads the connection.
pub async fn add(tx: &Tx, workspace: WorkspaceId, connection: ConnectionId, keys: Vec<String>) -> Result<()> {
    record(tx, workspace, connection, None, keys).await?;
    let received = raw_sql!(
        Postgres,
        "update connection_notification set received_at = now()
         where workspace_id = {workspace} and connection_id = {connection}"
    );
    sql::execute(tx, received).await?;
    Ok(())
}

/// The key of a notification that says only that something has changed: the source is to be listed. No object has it.
pub const ANYTHING: &str = "";

/// Records rows, or [`ANYTHING`], for each source of an enabled pipeline that listens to the channel of the connection.
pub async fn add_of_channel(
    tx: &Tx,
    workspace: WorkspaceId,
    connection: ConnectionId,
    channel: &str,
    keys: Vec<String>,
) -> Result<()> {
    record(tx, workspace, connection, Some(channel), keys).await
}

async fn record(
    tx: &Tx,
    workspace: WorkspaceId,
    connection: ConnectionId,
    channel: Option<&str>,
    keys: Vec<String>,
) -> Result<()> {
    let add = raw_sql!(
        Postgres,
        "insert into source_notification as n (workspace_id, pipeline_id, node, object_key)
         select {workspace}, p.id, node->>'id', named.key
         from pipeline p
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         cross join lateral jsonb_array_elements(v.definition->'nodes') node
         cross join (select distinct unnest({keys}::text[]) as key) named
         where p.workspace_id = {workspace} and p.state = 'enabled' and not p.inline and node->>'type' = 'source.connection'
             and node->>'connection' = {connection}::uuid::text
             and ({channel}::text is null or node->'stream'->>'channel' = {channel})
         on conflict (workspace_id, pipeline_id, node, object_key) do update set received_at = clock_timestamp()"
    );
    sql::execute(tx, add).await?;
    Ok(())
}

/// An object that a source is to read again.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Notified {
    /// The key of the object.
    pub object_key: String,
    /// When the last notification named it.
    pub received_at: DateTime<Utc>,
}

/// Up to `limit` objects behind `after` that a source is to read again, in order.
pub async fn next(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &SourceNode,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Notified>> {
    let (pipeline, node, after) = (of.pipeline, of.node.as_str(), after.unwrap_or(ANYTHING));
    let next = raw_sql!(
        Postgres,
        "select object_key, received_at from source_notification
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and object_key > {after}
         order by object_key limit {limit}"
    );
    sql::all(conn, next).await
}

/// The notification that a source is to be listed, if there is one.
pub async fn of_anything(conn: &impl Conn, workspace: WorkspaceId, of: &SourceNode) -> Result<Option<Notified>> {
    let (pipeline, node, anything) = (of.pipeline, of.node.as_str(), ANYTHING);
    let found = raw_sql!(
        Postgres,
        "select object_key, received_at from source_notification
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and object_key = {anything}"
    );
    sql::first(conn, found).await
}

/// Forgets objects, unless a later notification has named them again.
pub async fn done(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, done: &[Notified]) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let keys: Vec<String> = done.iter().map(|notified| notified.object_key.clone()).collect();
    let times: Vec<DateTime<Utc>> = done.iter().map(|notified| notified.received_at).collect();
    let delete = raw_sql!(
        Postgres,
        "delete from source_notification n using unnest({keys}::text[], {times}::timestamptz[]) as d (key, received_at)
         where n.workspace_id = {workspace} and n.pipeline_id = {pipeline} and n.node = {node} and n.object_key = d.key
             and n.received_at <= d.received_at"
    );
    sql::execute(tx, delete).await?;
    Ok(())
}

/// Forgets the objects that a run was started for: the next sync by schedule or request finds what has changed.
pub async fn forget_of_run(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<()> {
    let forget = raw_sql!(
        Postgres,
        "delete from source_notification n using run r
         where r.workspace_id = {workspace} and r.id = {run} and r.trigger = 'notification'
             and n.workspace_id = r.workspace_id and n.pipeline_id = r.pipeline_id"
    );
    sql::execute(tx, forget).await?;
    Ok(())
}

/// Forgets the objects of sources that the newest definition of a pipeline has no more: no sync would look them up, and each would be
/// followed by another one.
pub async fn forget_obsolete(tx: &Tx, workspace: WorkspaceId, pipeline: PipelineId) -> Result<()> {
    let forget = raw_sql!(
        Postgres,
        "delete from source_notification n
         where n.workspace_id = {workspace} and n.pipeline_id = {pipeline} and not exists (
             select from pipeline p
             join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
             cross join lateral jsonb_array_elements(v.definition->'nodes') source
             where p.workspace_id = n.workspace_id and p.id = n.pipeline_id and source->>'type' = 'source.connection'
                 and source->>'id' = n.node)"
    );
    sql::execute(tx, forget).await?;
    Ok(())
}

/// A pipeline with objects to be read again, of which no sync goes on.
pub async fn next_pipeline(conn: &impl Conn) -> Result<Option<(WorkspaceId, PipelineId)>> {
    let next = raw_sql!(
        Postgres,
        "select n.workspace_id, n.pipeline_id from source_notification n
         join pipeline p on p.workspace_id = n.workspace_id and p.id = n.pipeline_id
         where p.state = 'enabled' and not exists (
             select from run r where r.workspace_id = n.workspace_id and r.pipeline_id = n.pipeline_id and r.syncs
                 and r.finished_at is null)
         limit 1"
    );
    sql::first_value(conn, next).await
}
