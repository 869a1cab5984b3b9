//! Which results of a pipeline are stale: written by an older version of its definition, or by node types whose code version was
//! raised since.

use sea_orm::FromQueryResult;
use serde_json::Value as Json;

use super::{Conn, Result, search::Parameters, sql};
use crate::id::{ConnectionId, PipelineId, WorkspaceId};

/// The stale items of a pipeline, and what it would take to compute them again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Staleness {
    /// Items whose results are there: in collections, in systems outside, or as files.
    pub live: i64,
    /// Of them, those that are stale for any reason.
    pub items: i64,
    /// Items of runs with an older version of the definition.
    pub older_version: i64,
    /// Items of runs with an older code version of a node type.
    pub older_code: i64,
    /// The files of stale items.
    pub files: i64,
    /// Their live chunks in collections.
    pub chunks: i64,
    /// The tokens of these chunks.
    pub tokens: i64,
}

/// A node type whose code version was raised.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct RaisedNodeType {
    /// The name of the type.
    pub node_type: String,
    /// The oldest code version that results were computed with.
    pub oldest: i32,
    /// The items of older code versions.
    pub items: i64,
}

/// A pipeline, and what its results are compared with.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its newest version.
    pub version: i32,
    /// The current code versions of node types, by type.
    pub code_versions: Json,
}

impl Compared {
    /// The common table `live`: the results of the pipeline that are there, with the items that have written them and whether they are
    /// stale. Those in collections have a target. Requests of a `sink.webhook` without `deletions` leave no trace.
    fn live(&self, parameters: &mut Parameters) -> String {
        let (workspace, pipeline) = (parameters.bind(self.workspace), parameters.bind(self.pipeline));
        let source = parameters.bind(format!("pipeline:{}", self.pipeline));
        let (version, code_versions) = (parameters.bind(self.version), parameters.bind(self.code_versions.clone()));
        format!(
            "written as (
                 select t.item_id, t.id as target_id, t.collection_id, t.chunk_count
                 from target t where t.workspace_id = {workspace} and t.pipeline_id = {pipeline} and t.live
                 union all
                 select i.id, null, null, 0
                 from external_target e
                 join file_version v on v.workspace_id = e.workspace_id and v.file_id = e.file_id
                 join run_item i on i.workspace_id = v.workspace_id and i.version_id = v.id and i.run_id = e.run_id
                     and i.state = 'done'
                 where e.workspace_id = {workspace} and e.pipeline_id = {pipeline} and e.elements > 0 and not e.obsolete
                 union all
                 select newest.id, null, null, 0
                 from (
                     select distinct parent_id from file
                     where workspace_id = {workspace} and source = {source} and parent_id is not null) made
                 cross join lateral (
                     select i.id from file_version v
                     join run_item i on i.workspace_id = v.workspace_id and i.version_id = v.id
                     join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                     where v.workspace_id = {workspace} and v.file_id = made.parent_id and r.pipeline_id = {pipeline}
                         and not r.preview and i.state = 'done'
                     order by i.id desc limit 1) newest),
             live as (
                 select w.*, i.file_id, i.run_id, r.items as run_items, r.code_versions,
                     r.pipeline_version < {version} as older_version,
                     exists (
                         select from jsonb_each_text({code_versions}) current
                         where (r.code_versions ->> current.key)::integer < current.value::integer) as older_code
                 from written w
                 join run_item i on i.workspace_id = {workspace} and i.id = w.item_id
                 join run r on r.workspace_id = i.workspace_id and r.id = i.run_id),
             stale as (select * from live where older_version or older_code)"
        )
    }
}

/// Compares the results of a pipeline with its newest version and the current code versions.
pub async fn find(conn: &impl Conn, compared: &Compared) -> Result<Staleness> {
    let mut parameters = Parameters::default();
    let live = compared.live(&mut parameters);
    let workspace = parameters.bind(compared.workspace);
    let text = format!(
        "with {live}
         select (select count(distinct item_id) from live) as live,
             count(distinct item_id) as items,
             count(distinct item_id) filter (where older_version) as older_version,
             count(distinct item_id) filter (where older_code) as older_code,
             count(distinct file_id) as files,
             coalesce(sum(chunk_count), 0)::bigint as chunks,
             (select coalesce(sum(c.tokens), 0)::bigint from chunk c
              where c.workspace_id = {workspace} and c.target_id in (select target_id from stale)) as tokens
         from stale"
    );
    Ok(sql::first(conn, parameters.into_statement(text)).await?.unwrap_or_default())
}

/// The node types whose code version was raised since results of a pipeline were computed.
pub async fn raised_node_types(conn: &impl Conn, compared: &Compared) -> Result<Vec<RaisedNodeType>> {
    let mut parameters = Parameters::default();
    let live = compared.live(&mut parameters);
    let code_versions = parameters.bind(compared.code_versions.clone());
    let text = format!(
        "with {live}
         select current.key as node_type, min((s.code_versions ->> current.key)::integer) as oldest,
             count(distinct s.item_id) as items
         from stale s cross join jsonb_each_text({code_versions}) current
         where (s.code_versions ->> current.key)::integer < current.value::integer
         group by current.key order by current.key"
    );
    sql::all(conn, parameters.into_statement(text)).await
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
pub async fn connection_tokens(conn: &impl Conn, compared: &Compared) -> Result<Vec<ConnectionTokens>> {
    let mut parameters = Parameters::default();
    let live = compared.live(&mut parameters);
    let workspace = parameters.bind(compared.workspace);
    let text = format!(
        "with {live},
         shares as (
             select run_id, count(distinct item_id)::numeric / greatest(max(run_items), 1) as share
             from stale group by run_id),
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
             join chunk c on c.workspace_id = {workspace} and c.target_id = s.target_id
             where space.connection_id is not null
             group by space.connection_id)
         select coalesce(a.connection_id, e.connection_id) as connection_id, coalesce(a.input_tokens, 0) as input_tokens,
             coalesce(a.output_tokens, 0) as output_tokens, coalesce(e.embedded_tokens, 0) as embedded_tokens
         from asked a full join embedded e on e.connection_id = a.connection_id"
    );
    sql::all(conn, parameters.into_statement(text)).await
}
