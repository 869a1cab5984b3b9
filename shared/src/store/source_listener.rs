//! Connections whose databases are listened to, and the worker that listens to each of them.

use std::time::Duration;

use sea_orm::{FromQueryResult, raw_sql};
use uuid::Uuid;

use super::{Conn, Result, sql};
use crate::id::{ConnectionId, WorkspaceId};

/// A connection whose database is to be listened to.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Listened {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// Changes with the connection.
    pub revision: i32,
    /// The channels that enabled pipelines name, in order.
    pub channels: Vec<String>,
    /// Whether no worker listens.
    pub is_free: bool,
}

/// The connections that enabled pipelines listen to, with an index over the few definitions that name a channel.
pub async fn wanted(conn: &impl Conn) -> Result<Vec<Listened>> {
    let wanted = raw_sql!(
        Postgres,
        "select c.workspace_id, c.id as connection_id, c.revision,
             array_agg(distinct node->'stream'->>'channel' order by node->'stream'->>'channel') as channels,
             bool_and(l.leased_until is null or l.leased_until < now()) as is_free
         from pipeline_version v
         join pipeline p on p.workspace_id = v.workspace_id and p.id = v.pipeline_id and p.version = v.number
         cross join lateral jsonb_array_elements(v.definition->'nodes') node
         join connection c on c.workspace_id = v.workspace_id and c.id::text = node->>'connection'
         left join source_listener l on l.connection_id = c.id
         where jsonb_path_exists(v.definition, '$.nodes[*].stream.channel') and p.state = 'enabled' and not p.inline
             and node->>'type' = 'source.connection' and node->'stream'->>'channel' is not null
             and c.enabled and c.provider = 'postgresql'
         group by c.workspace_id, c.id, c.revision"
    );
    sql::all(conn, wanted).await
}

/// Takes or extends the lease of a connection. `false`: another worker listens, or the connection is gone.
pub async fn acquire(conn: &impl Conn, of: &Listened, holder: Uuid, lease: Duration) -> Result<bool> {
    let (workspace, connection, lease_seconds) = (of.workspace_id, of.connection_id, lease.as_secs_f64());
    let acquire = raw_sql!(
        Postgres,
        "insert into source_listener as l (workspace_id, connection_id, holder, leased_until)
         select workspace_id, id, {holder}, now() + make_interval(secs => {lease_seconds})
         from connection where workspace_id = {workspace} and id = {connection}
         on conflict (connection_id) do update set holder = excluded.holder, leased_until = excluded.leased_until
         where l.holder = excluded.holder or l.leased_until < now()"
    );
    Ok(sql::execute(conn, acquire).await? == 1)
}

/// Ends leases of a worker, so that others can listen at once.
pub async fn release(conn: &impl Conn, holder: Uuid, connections: Vec<ConnectionId>) -> Result<()> {
    let connections: Vec<Uuid> = connections.into_iter().map(Uuid::from).collect();
    let release = raw_sql!(
        Postgres,
        "delete from source_listener where holder = {holder} and connection_id = any({connections})"
    );
    sql::execute(conn, release).await?;
    Ok(())
}
