//! Objects that nodes of pipelines have seen in the systems behind connections. Fetches of their content: [`super::source_fetch`].

use std::collections::HashMap;

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::id::{ConnectionId, FileId, PipelineId, RunId, WorkspaceId};

/// The node of a pipeline that reads a connection, in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNode {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The id of the node.
    pub node: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run: RunId,
}

/// An object as it was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownObject {
    /// The revision of the content that this node has brought into its pipeline; `None`: none, or a run was cancelled before it was
    /// processed.
    pub revision: Option<String>,
    /// Whether there is a file.
    pub has_file: bool,
    /// Whether the last fetch failed.
    pub has_failed: bool,
    /// Whether this run's listing has named it before.
    pub is_repeated: bool,
    /// The file that it had from another connection, which the node read before.
    pub replaced: Option<FileId>,
}

#[derive(FromQueryResult)]
struct KnownRow {
    external_id: String,
    revision: Option<String>,
    has_file: bool,
    has_failed: bool,
    is_repeated: bool,
    replaced: Option<FileId>,
}

fn by_id(rows: Vec<KnownRow>) -> HashMap<String, KnownObject> {
    let known = rows.into_iter().map(|row| {
        let KnownRow { external_id, revision, has_file, has_failed, is_repeated, replaced } = row;
        (external_id, KnownObject { revision, has_file, has_failed, is_repeated, replaced })
    });
    known.collect()
}

/// Records that a listing names these objects, each of them once; returns those that were known before. It lets go of files of another
/// connection: the caller decides what becomes of them, and adds the objects that were not known: [`source_fetch::enqueue`],
/// [`source_fetch::fetched`], [`source_fetch::fail`].
///
/// [`source_fetch::enqueue`]: super::source_fetch::enqueue
/// [`source_fetch::fetched`]: super::source_fetch::fetched
/// [`source_fetch::fail`]: super::source_fetch::fail
pub async fn see(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
) -> Result<HashMap<String, KnownObject>> {
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    // Neither an upsert, which locks each row before it writes it, nor a join, which descends the index for each: a listing names mostly
    // known objects. Rows are locked in the order in which the planner finds them, usually that of the index; a change that ends in a
    // deadlock is repeated.
    let seen = raw_sql!(
        Postgres,
        "update source_object o set
             seen_run_id = {run}, deleted_at = null,
             revision = case when o.connection_id = {connection} then o.revision end,
             file_id = case when o.connection_id = {connection} then o.file_id end,
             kept = case when o.connection_id = {connection} then o.kept end,
             connection_id = {connection}
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = any({external_ids})
         returning new.external_id, new.revision, new.file_id is not null as has_file,
             old.failure_code is not null as has_failed, old.seen_run_id = new.seen_run_id as is_repeated,
             case when old.connection_id <> new.connection_id then old.file_id end as replaced"
    );
    sql::all(tx, seen).await.map(by_id)
}

/// As [`see`], and writes nothing.
pub async fn known(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
) -> Result<HashMap<String, KnownObject>> {
    let (pipeline, node, connection) = (of.pipeline, of.node.as_str(), of.connection);
    let known = raw_sql!(
        Postgres,
        "select external_id, revision, file_id is not null as has_file, failure_code is not null as has_failed,
             false as is_repeated, null::uuid as replaced
         from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and connection_id = {connection}
             and external_id = any({external_ids}) and deleted_at is null"
    );
    sql::all(conn, known).await.map(by_id)
}

/// Keeps for the next listing what it wants to know of objects; replaces what was kept of them. `offset 0` hides the source from the
/// planner, here and in [`super::source_fetch`]: among many tenants it expects one object of a source, and would read all of them.
pub async fn keep(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, kept: Vec<(String, Json)>) -> Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let (ids, kept): (Vec<_>, Vec<_>) = kept.into_iter().map(|(id, kept)| (id, kept.to_string())).unzip();
    let keep = raw_sql!(
        Postgres,
        "update source_object o set kept = t.kept::jsonb
         from (
             select {workspace}::uuid as workspace_id, {pipeline}::uuid as pipeline_id, {node}::text as node, given.*
             from unnest({ids}::text[], {kept}::text[]) given (external_id, kept) offset 0) t
         where (o.workspace_id, o.pipeline_id, o.node, o.external_id) = (t.workspace_id, t.pipeline_id, t.node, t.external_id)
             and o.kept is distinct from t.kept::jsonb"
    );
    sql::execute(tx, keep).await?;
    Ok(())
}

/// What earlier listings kept of these objects, as far as they have files.
pub async fn kept(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
) -> Result<Vec<(String, Json)>> {
    let (pipeline, node, connection) = (of.pipeline, of.node.as_str(), of.connection);
    let kept = raw_sql!(
        Postgres,
        "select external_id, kept from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and connection_id = {connection}
             and external_id = any({external_ids}) and kept is not null and file_id is not null and deleted_at is null"
    );
    sql::all_values(conn, kept).await
}

/// The number of objects that a node knows, without deleted ones.
pub async fn count(conn: &impl Conn, workspace: WorkspaceId, of: &SourceNode) -> Result<i64> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let count = raw_sql!(
        Postgres,
        "select count(*) from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and deleted_at is null
             and file_id is not null"
    );
    Ok(sql::first_value(conn, count).await?.unwrap_or(0))
}

/// Objects that the listing of a run did not name, after `after`, at most `limit`: id and file.
pub async fn unseen(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &SourceNode,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Option<FileId>)>> {
    let (pipeline, node, run) = (of.pipeline, of.node.as_str(), of.run);
    let unseen = raw_sql!(
        Postgres,
        "select external_id, file_id from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id > {after}
             and seen_run_id <> {run} and deleted_at is null
         order by external_id limit {limit}"
    );
    sql::all_values(conn, unseen).await
}

/// Objects of nodes of a pipeline that are not among these, at most `limit`: node, id and file, and whether one of these has the object
/// instead. Goes from node to node in the index, and does not read the objects of these nodes.
pub async fn obsolete(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    nodes: Vec<String>,
    limit: i64,
) -> Result<Vec<(String, String, Option<FileId>, bool)>> {
    let obsolete = raw_sql!(
        Postgres,
        "with recursive node as (
             (select min(node) as name from source_object where workspace_id = {workspace} and pipeline_id = {pipeline})
             union all
             select (
                 select min(next.node) from source_object next
                 where next.workspace_id = {workspace} and next.pipeline_id = {pipeline} and next.node > node.name)
             from node where node.name is not null)
         select o.node, o.external_id, o.file_id, exists (
                 select from source_object n
                 where n.workspace_id = o.workspace_id and n.pipeline_id = o.pipeline_id and n.node = any({nodes}::text[])
                     and n.external_id = o.external_id and n.connection_id = o.connection_id and n.deleted_at is null)
         from node cross join lateral (
             select * from source_object
             where workspace_id = {workspace} and pipeline_id = {pipeline} and node = node.name and deleted_at is null
             order by external_id limit {limit}) o
         where node.name <> all({nodes}::text[])
         order by o.node, o.external_id limit {limit}"
    );
    sql::all_values(conn, obsolete).await
}

/// Of these objects, those that are known: id and file.
pub async fn named(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
) -> Result<Vec<(String, Option<FileId>)>> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let named = raw_sql!(
        Postgres,
        "select external_id, file_id from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node}
             and external_id = any({external_ids}) and deleted_at is null
         order by external_id"
    );
    sql::all_values(conn, named).await
}

/// Records that objects are deleted at their source.
pub async fn set_deleted(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, external_ids: Vec<String>) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let deleted = raw_sql!(
        Postgres,
        "update source_object set deleted_at = now(), revision = null, kept = null, pending = null, batch_id = null
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = any({external_ids})"
    );
    sql::execute(tx, deleted).await?;
    Ok(())
}

/// Marks files whose source has deleted them.
pub async fn mark_files(tx: &Tx, workspace: WorkspaceId, files: Vec<FileId>) -> Result<()> {
    let marked = raw_sql!(
        Postgres,
        "update file set source_deleted_at = now(), revision = revision + 1, updated_at = now()
         where workspace_id = {workspace} and id in (
             select id from file where workspace_id = {workspace} and id = any({files}) and source_deleted_at is null
             order by id for no key update)"
    );
    sql::execute(tx, marked).await?;
    Ok(())
}

/// The other nodes, of current definitions, that have a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// None.
    Alone,
    /// Nodes of other pipelines only.
    OtherPipelines,
    /// A node of the same pipeline, and maybe of others.
    SamePipeline,
}

/// Whether other nodes have a file too.
pub async fn sharing(conn: &impl Conn, workspace: WorkspaceId, of: &SourceNode, file: FileId) -> Result<Sharing> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let others = raw_sql!(
        Postgres,
        "select distinct o.pipeline_id = {pipeline} from source_object o
         join pipeline p on p.workspace_id = o.workspace_id and p.id = o.pipeline_id
         join pipeline_version v on v.workspace_id = p.workspace_id and v.pipeline_id = p.id and v.number = p.version
         where o.workspace_id = {workspace} and o.file_id = {file} and o.deleted_at is null
             and (o.pipeline_id, o.node) <> ({pipeline}, {node})
             and exists (
                 select from jsonb_array_elements(v.definition->'nodes') n
                 where n->>'type' = 'source.connection' and n->>'id' = o.node)"
    );
    let others: Vec<bool> = sql::all_values(conn, others).await?;
    Ok(match others.as_slice() {
        [] => Sharing::Alone,
        others if others.contains(&true) => Sharing::SamePipeline,
        _ => Sharing::OtherPipelines,
    })
}

/// Forgets objects.
pub async fn forget(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, external_ids: Vec<String>) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let forgotten = raw_sql!(
        Postgres,
        "delete from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = any({external_ids})"
    );
    sql::execute(tx, forgotten).await?;
    Ok(())
}

/// Forgets the revisions of the objects whose items a run that syncs has cancelled, also of archives with cancelled members, and
/// where incremental listings of their nodes begin: the next sync reads these objects again.
pub async fn forget_cancelled(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<()> {
    let forgotten = raw_sql!(
        Postgres,
        "with recursive cancelled as (
             select i.parent_id, i.file_id, r.pipeline_id
             from run r join run_item i on i.workspace_id = r.workspace_id and i.run_id = r.id
             where r.workspace_id = {workspace} and r.id = {run} and r.syncs and i.state = 'cancelled'
             union
             select p.parent_id, p.file_id, c.pipeline_id
             from cancelled c join run_item p on p.workspace_id = {workspace} and p.id = c.parent_id),
         forgotten as (
             update source_object o set revision = null, kept = null
             from (select distinct file_id, pipeline_id from cancelled) c
             where o.workspace_id = {workspace} and o.file_id = c.file_id and o.pipeline_id = c.pipeline_id
             returning o.pipeline_id, o.node)
         delete from source_cursor s using (select distinct pipeline_id, node from forgotten) f
         where s.workspace_id = {workspace} and s.pipeline_id = f.pipeline_id and s.node = f.node"
    );
    sql::execute(tx, forgotten).await?;
    Ok(())
}

/// Where the next incremental listing of a node begins.
pub async fn cursor(conn: &impl Conn, workspace: WorkspaceId, of: &SourceNode) -> Result<Option<Json>> {
    let (pipeline, node, connection) = (of.pipeline, of.node.as_str(), of.connection);
    let cursor = raw_sql!(
        Postgres,
        "select cursor from source_cursor
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and connection_id = {connection}"
    );
    sql::first_value(conn, cursor).await
}

/// Forgets where the next incremental listing of a node begins: it begins anew.
pub async fn forget_cursor(tx: &Tx, workspace: WorkspaceId, of: &SourceNode) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let forgotten = raw_sql!(
        Postgres,
        "delete from source_cursor where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node}"
    );
    sql::execute(tx, forgotten).await?;
    Ok(())
}

/// Records where the next incremental listing of a node begins.
pub async fn set_cursor(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, cursor: &Json) -> Result<()> {
    let (pipeline, node, connection, cursor) = (of.pipeline, of.node.as_str(), of.connection, cursor.clone());
    let set = raw_sql!(
        Postgres,
        "insert into source_cursor (workspace_id, pipeline_id, node, connection_id, cursor)
         values ({workspace}, {pipeline}, {node}, {connection}, {cursor})
         on conflict (workspace_id, pipeline_id, node) do update set
             connection_id = excluded.connection_id, cursor = excluded.cursor"
    );
    sql::execute(tx, set).await?;
    Ok(())
}
