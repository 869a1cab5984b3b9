//! Objects that nodes of pipelines have seen in the systems behind connections, and what a run counts of them.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::failure::{Failure, FailureCode},
    id::{BatchId, ConnectionId, FileId, PipelineId, RunId, VersionId, WorkspaceId},
};

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
    /// The revision of the content that the file has; `None`: it has none of this connection.
    pub revision: Option<String>,
    /// Whether there is a file.
    pub has_file: bool,
    /// Whether the last fetch failed.
    pub has_failed: bool,
    /// Whether this run's listing has named it before.
    pub is_repeated: bool,
}

#[derive(FromQueryResult)]
struct KnownRow {
    external_id: String,
    revision: Option<String>,
    has_file: bool,
    has_failed: bool,
    is_repeated: bool,
}

fn by_id(rows: Vec<KnownRow>) -> HashMap<String, KnownObject> {
    let known = rows.into_iter().map(|row| {
        let KnownRow { external_id, revision, has_file, has_failed, is_repeated } = row;
        (external_id, KnownObject { revision, has_file, has_failed, is_repeated })
    });
    known.collect()
}

/// Records that a listing names these objects, each of them once; returns what was known of each before.
pub async fn see(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
) -> Result<HashMap<String, KnownObject>> {
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    // In order, so that no two transactions wait for each other.
    let seen = raw_sql!(
        Postgres,
        "insert into source_object as o (workspace_id, pipeline_id, node, external_id, connection_id, seen_run_id)
         select {workspace}, {pipeline}, {node}, external_id, {connection}, {run}
         from unnest({external_ids}::text[]) external_id order by external_id
         on conflict (workspace_id, pipeline_id, node, external_id) do update set
             seen_run_id = excluded.seen_run_id, deleted_at = null,
             revision = case when o.connection_id = excluded.connection_id then o.revision end,
             file_id = case when o.connection_id = excluded.connection_id then o.file_id end,
             kept = case when o.connection_id = excluded.connection_id then o.kept end,
             connection_id = excluded.connection_id
         returning new.external_id, new.revision, new.file_id is not null as has_file,
             coalesce(old.failure_code is not null, false) as has_failed,
             coalesce(old.seen_run_id = new.seen_run_id, false) as is_repeated"
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
             false as is_repeated
         from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and connection_id = {connection}
             and external_id = any({external_ids}) and deleted_at is null"
    );
    sql::all(conn, known).await.map(by_id)
}

/// Keeps for the next listing what it wants to know of objects; replaces what was kept of them.
pub async fn keep(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, kept: Vec<(String, Json)>) -> Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let (ids, kept): (Vec<_>, Vec<_>) = kept.into_iter().map(|(id, kept)| (id, kept.to_string())).unzip();
    let keep = raw_sql!(
        Postgres,
        "update source_object o set kept = t.kept::jsonb
         from unnest({ids}::text[], {kept}::text[]) t (external_id, kept)
         where o.workspace_id = {workspace} and o.pipeline_id = {pipeline} and o.node = {node}
             and o.external_id = t.external_id and o.kept is distinct from t.kept::jsonb"
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

/// An object to be fetched.
#[derive(Clone, Debug)]
pub struct ToFetch {
    /// What identifies it.
    pub external_id: String,
    /// As it was listed.
    pub listed: Json,
    /// The job that fetches it.
    pub batch: BatchId,
}

/// Records that objects are to be fetched.
pub async fn enqueue(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, objects: &[ToFetch]) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let ids: Vec<_> = objects.iter().map(|object| object.external_id.clone()).collect();
    let listed: Vec<_> = objects.iter().map(|object| object.listed.to_string()).collect();
    let batches: Vec<_> = objects.iter().map(|object| object.batch.0).collect();
    let enqueued = raw_sql!(
        Postgres,
        "update source_object o set pending = t.listed::jsonb, batch_id = t.batch, failure_code = null, failure_detail = null
         from unnest({ids}::text[], {listed}::text[], {batches}::uuid[]) t (external_id, listed, batch)
         where o.workspace_id = {workspace} and o.pipeline_id = {pipeline} and o.node = {node}
             and o.external_id = t.external_id"
    );
    sql::execute(tx, enqueued).await?;
    Ok(())
}

/// An object whose fetch a job has to make.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `source_object`")]
pub struct PendingObject {
    pub external_id: String,
    pub pending: Json,
}

/// The objects of a batch that are not fetched yet.
pub async fn batch(conn: &impl Conn, batch: BatchId) -> Result<Vec<PendingObject>> {
    let pending = raw_sql!(
        Postgres,
        "select external_id, pending from source_object where batch_id = {batch} and pending is not null order by external_id"
    );
    sql::all(conn, pending).await
}

/// Records that the content of an object was fetched, or found to be the file's already.
pub async fn fetched(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_id: &str,
    revision: &str,
    file: FileId,
) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let fetched = raw_sql!(
        Postgres,
        "update source_object set revision = {revision}, file_id = {file}, pending = null, batch_id = null,
             failure_code = null, failure_detail = null
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = {external_id}"
    );
    sql::execute(tx, fetched).await?;
    Ok(())
}

/// Whether a version has been an item of a pipeline.
pub async fn has_entered(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    version: VersionId,
) -> Result<bool> {
    let entered = raw_sql!(
        Postgres,
        "select exists (
             select from run_item i join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
             where i.workspace_id = {workspace} and i.version_id = {version} and r.pipeline_id = {pipeline}
                 and not r.preview)"
    );
    Ok(sql::first_value(conn, entered).await?.unwrap_or(false))
}

/// Records why an object cannot be fetched. It stays as it was listed, so that a retry can fetch it.
pub async fn failed(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_id: &str,
    failure: &Failure,
) -> Result<()> {
    let (pipeline, node, code, detail) = (of.pipeline, of.node.as_str(), failure.code, failure.detail.as_str());
    let failed = raw_sql!(
        Postgres,
        "update source_object set batch_id = null, failure_code = {code}, failure_detail = {detail}
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = {external_id}"
    );
    sql::execute(tx, failed).await?;
    Ok(())
}

/// Records why no object of a batch can be fetched. Returns their number.
pub async fn fail_batch(tx: &Tx, workspace: WorkspaceId, batch: BatchId, failure: &Failure) -> Result<u64> {
    let (code, detail) = (failure.code, failure.detail.as_str());
    let failed = raw_sql!(
        Postgres,
        "update source_object set batch_id = null, failure_code = {code}, failure_detail = {detail}
         where workspace_id = {workspace} and batch_id = {batch}"
    );
    sql::execute(tx, failed).await
}

/// Objects that the complete listing of a run did not name, after `after`, at most `limit`: id and file.
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

/// Records that objects are deleted at their source; their files are marked if `marks`.
pub async fn set_deleted(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    external_ids: Vec<String>,
    marks: bool,
) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    if marks {
        let marked = raw_sql!(
            Postgres,
            "update file set source_deleted_at = now(), revision = revision + 1, updated_at = now()
             where workspace_id = {workspace} and source_deleted_at is null and id in (
                 select f.id from file f join source_object o on o.workspace_id = f.workspace_id and o.file_id = f.id
                 where o.workspace_id = {workspace} and o.pipeline_id = {pipeline} and o.node = {node}
                     and o.external_id = any({external_ids})
                 order by f.id for no key update of f)"
        );
        sql::execute(tx, marked).await?;
    }
    let deleted = raw_sql!(
        Postgres,
        "update source_object set deleted_at = now(), revision = null, kept = null, pending = null, batch_id = null
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = any({external_ids})"
    );
    sql::execute(tx, deleted).await?;
    Ok(())
}

/// Whether another node has the file too.
pub async fn is_shared(conn: &impl Conn, workspace: WorkspaceId, of: &SourceNode, file: FileId) -> Result<bool> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let shared = raw_sql!(
        Postgres,
        "select exists (
             select from source_object where workspace_id = {workspace} and file_id = {file} and deleted_at is null
                 and (pipeline_id, node) <> ({pipeline}, {node}))"
    );
    Ok(sql::first_value(conn, shared).await?.unwrap_or(false))
}

/// Forgets an object.
pub async fn forget(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, external_id: &str) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let forgotten = raw_sql!(
        Postgres,
        "delete from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and external_id = {external_id}"
    );
    sql::execute(tx, forgotten).await?;
    Ok(())
}

/// Puts up to `limit` objects into a batch that earlier runs have listed and could not read. Returns their number.
pub async fn adopt(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, batch: BatchId, limit: i64) -> Result<u64> {
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    let adopted = raw_sql!(
        Postgres,
        "update source_object set batch_id = {batch}, seen_run_id = {run}, failure_code = null, failure_detail = null
         where (workspace_id, pipeline_id, node, external_id) in (
             select workspace_id, pipeline_id, node, external_id from source_object
             where workspace_id = {workspace} and pipeline_id = {pipeline} and node = {node} and connection_id = {connection}
                 and pending is not null and seen_run_id <> {run} and deleted_at is null
             order by external_id limit {limit} for update)"
    );
    sql::execute(tx, adopted).await
}

/// Counts of the objects that a run has listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "columns of `run`")]
pub struct SyncCounts {
    pub pending: i32,
    pub seen: i64,
    pub new: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub deleted: i64,
    pub failed: i64,
}

/// Adds to the counts of a run.
pub async fn add_counts(tx: &Tx, workspace: WorkspaceId, run: RunId, counts: SyncCounts) -> Result<()> {
    let SyncCounts { pending, seen, new, changed, unchanged, deleted, failed } = counts;
    let added = raw_sql!(
        Postgres,
        "update run set objects_pending = objects_pending + {pending}, objects_seen = objects_seen + {seen},
             objects_new = objects_new + {new}, objects_changed = objects_changed + {changed},
             objects_unchanged = objects_unchanged + {unchanged}, objects_deleted = objects_deleted + {deleted},
             objects_failed = objects_failed + {failed},
             state = case when state = 'queued' then 'running' else state end
         where workspace_id = {workspace} and id = {run}"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

/// An object that a run could not fetch.
#[derive(Clone, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `source_object`")]
pub struct FailedObject {
    pub node: String,
    pub external_id: String,
    pub failure_code: FailureCode,
    pub failure_detail: String,
    pub file_id: Option<FileId>,
}

/// The objects that a run's listing named and that could not be fetched, after a place, at most `limit`.
pub async fn failures(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    run: RunId,
    (node, external_id): (&str, &str),
    limit: i64,
) -> Result<Vec<FailedObject>> {
    let failures = raw_sql!(
        Postgres,
        "select node, external_id, failure_code, coalesce(failure_detail, '') as failure_detail, file_id
         from source_object
         where workspace_id = {workspace} and pipeline_id = {pipeline} and seen_run_id = {run} and failure_code is not null
             and (node, external_id) > ({node}, {external_id})
         order by node, external_id limit {limit}"
    );
    sql::all(conn, failures).await
}

/// Puts up to `limit` failed objects of a run into a batch, those with `code` only if one is given; returns the nodes and
/// connections that they are of.
pub async fn requeue(
    tx: &Tx,
    workspace: WorkspaceId,
    (pipeline, run): (PipelineId, RunId),
    code: Option<&str>,
    batch: BatchId,
    limit: i64,
) -> Result<Vec<(String, ConnectionId)>> {
    let requeued = raw_sql!(
        Postgres,
        "update source_object set batch_id = {batch}, failure_code = null, failure_detail = null
         where (workspace_id, pipeline_id, node, external_id) in (
             select workspace_id, pipeline_id, node, external_id from source_object
             where workspace_id = {workspace} and pipeline_id = {pipeline} and seen_run_id = {run}
                 and failure_code is not null and pending is not null and batch_id is null
                 and ({code}::text is null or failure_code = {code})
                 and node = (
                     select min(node) from source_object
                     where workspace_id = {workspace} and pipeline_id = {pipeline} and seen_run_id = {run}
                         and failure_code is not null and pending is not null and batch_id is null
                         and ({code}::text is null or failure_code = {code}))
             order by external_id limit {limit} for update)
         returning node, connection_id"
    );
    sql::all_values(tx, requeued).await
}

/// Opens a run again for objects that are to be fetched once more.
pub async fn reopen(tx: &Tx, workspace: WorkspaceId, run: RunId, objects: i32) -> Result<()> {
    let reopened = raw_sql!(
        Postgres,
        "update run set state = 'running', finished_at = null, objects_pending = objects_pending + {objects},
             objects_failed = objects_failed - {objects}, failure_code = null, failure_detail = null
         where workspace_id = {workspace} and id = {run}"
    );
    sql::execute(tx, reopened).await?;
    Ok(())
}

/// Whether a sync of a pipeline goes on, other than this run.
pub async fn has_open_sync(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    except: Option<RunId>,
) -> Result<bool> {
    let open = raw_sql!(
        Postgres,
        "select exists (
             select from run where workspace_id = {workspace} and pipeline_id = {pipeline} and syncs and finished_at is null
                 and ({except}::uuid is null or id <> {except}))"
    );
    Ok(sql::first_value(conn, open).await?.unwrap_or(false))
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
