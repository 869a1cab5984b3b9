//! Which results of a pipeline are stale: written by an older version of its definition, or by node types whose code version was
//! raised since.

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, sql};
use crate::id::{ConnectionId, PipelineId, WorkspaceId};

/// The stale items of a pipeline, and what it would take to compute them again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Staleness {
    /// Items with live rows.
    pub live: i64,
    /// Of them, those that are stale for any reason.
    pub items: i64,
    /// Items of runs with an older version of the definition.
    pub older_version: i64,
    /// Items of runs with an older code version of a node type.
    pub older_code: i64,
    /// The files of stale items.
    pub files: i64,
    /// Their live chunks.
    pub chunks: i64,
    /// The tokens of these chunks.
    pub tokens: i64,
}

/// A node type whose code version was raised.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct RaisedNodeType {
    /// The name of the type.
    pub node_type: String,
    /// The oldest code version that live rows were computed with.
    pub oldest: i32,
    /// The items of older code versions.
    pub items: i64,
}

/// Compares the live rows of a pipeline with its newest version and the current code versions.
pub async fn find(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    version: i32,
    code_versions: Json,
) -> Result<Staleness> {
    let found = raw_sql!(
        Postgres,
        "with live as (
             select t.id, t.item_id, t.file_id, t.chunk_count, r.pipeline_version < {version} as older_version,
                 exists (
                     select from jsonb_each_text({code_versions}) current
                     where (r.code_versions ->> current.key)::integer < current.value::integer) as older_code
             from target t
             join run_item i on i.workspace_id = t.workspace_id and i.id = t.item_id
             join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
             where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.live),
         stale as (select * from live where older_version or older_code)
         select (select count(distinct item_id) from live) as live,
             count(distinct item_id) as items,
             count(distinct item_id) filter (where older_version) as older_version,
             count(distinct item_id) filter (where older_code) as older_code,
             count(distinct file_id) as files,
             coalesce(sum(chunk_count), 0)::bigint as chunks,
             (select coalesce(sum(c.tokens), 0)::bigint from chunk c
              where c.workspace_id = {workspace} and c.target_id in (select id from stale)) as tokens
         from stale"
    );
    Ok(sql::first(conn, found).await?.unwrap_or_default())
}

/// The node types whose code version was raised since live rows of a pipeline were computed.
pub async fn raised_node_types(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    code_versions: Json,
) -> Result<Vec<RaisedNodeType>> {
    let found = raw_sql!(
        Postgres,
        "select current.key as node_type, min((r.code_versions ->> current.key)::integer) as oldest,
             count(distinct t.item_id) as items
         from target t
         join run_item i on i.workspace_id = t.workspace_id and i.id = t.item_id
         join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
         cross join jsonb_each_text({code_versions}) current
         where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.live
             and (r.code_versions ->> current.key)::integer < current.value::integer
         group by current.key order by current.key"
    );
    sql::all(conn, found).await
}

/// The tokens of the stale items of a pipeline that a connection has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ConnectionTokens {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Tokens that its model read when the items were computed. Of a run with other items, their share.
    pub input_tokens: i64,
    /// Tokens that its model wrote.
    pub output_tokens: i64,
    /// Tokens of the live chunks whose vectors are of a space of the connection.
    pub embedded_tokens: i64,
}

impl ConnectionTokens {
    /// A connection that has processed none.
    #[must_use]
    pub const fn none(connection_id: ConnectionId) -> Self {
        Self { connection_id, input_tokens: 0, output_tokens: 0, embedded_tokens: 0 }
    }
}

/// The tokens of stale items by connection: those of answers, as the runs of the items have counted them, and those of vectors.
pub async fn connection_tokens(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    version: i32,
    code_versions: Json,
) -> Result<Vec<ConnectionTokens>> {
    let found = raw_sql!(
        Postgres,
        "with stale as (
             select t.id, t.collection_id, t.item_id, i.run_id, r.items
             from target t
             join run_item i on i.workspace_id = t.workspace_id and i.id = t.item_id
             join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
             where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.live and (
                 r.pipeline_version < {version} or exists (
                     select from jsonb_each_text({code_versions}) current
                     where (r.code_versions ->> current.key)::integer < current.value::integer))),
         shares as (
             select run_id, count(distinct item_id)::numeric / greatest(max(items), 1) as share from stale group by run_id),
         asked as (
             select u.connection_id, ceil(sum(u.input_tokens * s.share))::bigint as input_tokens,
                 ceil(sum(u.output_tokens * s.share))::bigint as output_tokens
             from shares s join model_usage u on u.workspace_id = {workspace} and u.run_id = s.run_id
             group by u.connection_id),
         embedded as (
             select space.connection_id, sum(c.tokens)::bigint as embedded_tokens
             from stale s
             join collection k on k.workspace_id = {workspace} and k.id = s.collection_id
             join embedding_space space on space.id = k.space_id
             join chunk c on c.workspace_id = {workspace} and c.target_id = s.id
             where space.connection_id is not null
             group by space.connection_id)
         select coalesce(a.connection_id, e.connection_id) as connection_id, coalesce(a.input_tokens, 0) as input_tokens,
             coalesce(a.output_tokens, 0) as output_tokens, coalesce(e.embedded_tokens, 0) as embedded_tokens
         from asked a full join embedded e on e.connection_id = a.connection_id"
    );
    sql::all(conn, found).await
}
