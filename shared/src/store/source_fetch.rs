//! Objects of connections whose content jobs fetch, batch by batch, and the failures of fetches.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{ActiveEnum, FromQueryResult, raw_sql};
use serde_json::Value as Json;

use super::{Conn, Result, Tx, source_object::SourceNode, sql};
use crate::{
    domain::failure::{Failure, FailureCode},
    id::{BatchId, ConnectionId, FileId, PipelineId, RunId, WorkspaceId},
};

/// An object to be fetched.
#[derive(Clone, Debug)]
pub struct ToFetch {
    /// What identifies it.
    pub external_id: String,
    /// As it was listed, in JSON.
    pub listed: String,
    /// The job that fetches it.
    pub batch: BatchId,
}

/// Records that objects are to be fetched, and adds those that were not known.
pub async fn enqueue(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, objects: Vec<ToFetch>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    let batches: Vec<_> = objects.iter().map(|object| object.batch.0).collect();
    let (ids, listed): (Vec<_>, Vec<_>) = objects.into_iter().map(|object| (object.external_id, object.listed)).unzip();
    let enqueued = raw_sql!(
        Postgres,
        "insert into source_object (workspace_id, pipeline_id, node, external_id, connection_id, seen_run_id, pending, batch_id)
         select {workspace}, {pipeline}, {node}, given.external_id, {connection}, {run}, given.listed::jsonb, given.batch
         from unnest({ids}::text[], {listed}::text[], {batches}::uuid[]) given (external_id, listed, batch)
         order by given.external_id
         on conflict (workspace_id, pipeline_id, node, external_id) do update set
             pending = excluded.pending, batch_id = excluded.batch_id, failure_code = null, failure_detail = null"
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

/// The revision of an object that its file has.
#[derive(Clone, Debug)]
pub struct FetchedRevision {
    /// What identifies it.
    pub external_id: String,
    /// The revision of the content.
    pub revision: String,
    /// The file.
    pub file: FileId,
}

/// Records that the contents of objects were fetched, or found to be those of their files already, and adds those that were not known.
pub async fn fetched(
    tx: &Tx,
    workspace: WorkspaceId,
    of: &SourceNode,
    mut objects: Vec<FetchedRevision>,
) -> Result<()> {
    let (pipeline, node) = (of.pipeline, of.node.as_str());
    let ids: Vec<_> = objects.iter().map(|object| object.external_id.clone()).collect();
    let revisions: Vec<_> = objects.iter().map(|object| object.revision.clone()).collect();
    let files: Vec<_> = objects.iter().map(|object| object.file).collect();
    let fetched = raw_sql!(
        Postgres,
        "update source_object o set revision = t.revision, file_id = t.file_id, pending = null, batch_id = null,
             failure_code = null, failure_detail = null
         from (
             select {workspace}::uuid as workspace_id, {pipeline}::uuid as pipeline_id, {node}::text as node, given.*
             from unnest({ids}::text[], {revisions}::text[], {files}::uuid[]) given (external_id, revision, file_id)
             order by given.external_id offset 0) t
         where (o.workspace_id, o.pipeline_id, o.node, o.external_id) = (t.workspace_id, t.pipeline_id, t.node, t.external_id)
         returning o.external_id"
    );
    let known: Vec<String> = sql::all_values(tx, fetched).await?;
    let known: HashSet<String> = known.into_iter().collect();
    objects.retain(|object| !known.contains(&object.external_id));
    if objects.is_empty() { Ok(()) } else { add_fetched(tx, workspace, of, objects).await }
}

/// Adds objects whose content came with the listing that names them first.
async fn add_fetched(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, objects: Vec<FetchedRevision>) -> Result<()> {
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    let (mut ids, mut revisions, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for FetchedRevision { external_id, revision, file } in objects {
        ids.push(external_id);
        revisions.push(revision);
        files.push(file);
    }
    let added = raw_sql!(
        Postgres,
        "insert into source_object (workspace_id, pipeline_id, node, external_id, connection_id, seen_run_id, revision, file_id)
         select {workspace}, {pipeline}, {node}, given.external_id, {connection}, {run}, given.revision, given.file_id
         from unnest({ids}::text[], {revisions}::text[], {files}::uuid[]) given (external_id, revision, file_id)
         order by given.external_id
         on conflict (workspace_id, pipeline_id, node, external_id) do update set
             revision = excluded.revision, file_id = excluded.file_id, pending = null, batch_id = null, failure_code = null,
             failure_detail = null"
    );
    sql::execute(tx, added).await?;
    Ok(())
}

/// Records why objects cannot be fetched, and adds those that were not known. They stay as they were listed, so that a retry can fetch
/// them.
pub async fn fail(tx: &Tx, workspace: WorkspaceId, of: &SourceNode, failures: BTreeMap<&str, &Failure>) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let (pipeline, node, connection, run) = (of.pipeline, of.node.as_str(), of.connection, of.run);
    let ids: Vec<String> = failures.keys().map(|id| (*id).to_owned()).collect();
    let codes: Vec<String> = failures.values().map(|failure| failure.code.to_value()).collect();
    let details: Vec<String> = failures.values().map(|failure| failure.detail.clone()).collect();
    let failed = raw_sql!(
        Postgres,
        "insert into source_object (workspace_id, pipeline_id, node, external_id, connection_id, seen_run_id, failure_code,
             failure_detail)
         select {workspace}, {pipeline}, {node}, given.external_id, {connection}, {run}, given.code, given.detail
         from unnest({ids}::text[], {codes}::text[], {details}::text[]) given (external_id, code, detail)
         order by given.external_id
         on conflict (workspace_id, pipeline_id, node, external_id) do update set
             batch_id = null, failure_code = excluded.failure_code, failure_detail = excluded.failure_detail"
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
