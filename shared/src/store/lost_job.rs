//! Finds runs whose jobs are lost.
//!
//! A job is deleted in the transaction that ends its work or adds the next job. So every snapshot of the database has a job for each open
//! item, and one for the sources of each run that files may enter yet: an item without one waits forever.

use std::time::Duration;

use sea_orm::{FromQueryResult, raw_sql};
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::id::{BatchId, ItemId, PipelineId, RunId, WorkspaceId};

/// A run that goes on.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `run`")]
pub struct OpenRun {
    pub workspace_id: WorkspaceId,
    pub id: RunId,
    /// Whether its sources have further files.
    pub admits: bool,
    /// Whether objects are to be fetched.
    pub fetches: bool,
    pub has_jobs: bool,
}

/// The next runs, by workspace and id, that have gone on for longer than `age`: those behind `after`, at most `limit`.
///
/// Left out are the runs of deleted workspaces, whose jobs are deleted before their rows, and runs with a job that is not among the
/// `known` kinds (`kind version`): it is of a newer version, and only that knows which items it works for.
pub async fn open_runs(
    conn: &impl Conn,
    after: Option<(WorkspaceId, RunId)>,
    age: Duration,
    known: &[String],
    limit: i64,
) -> Result<Vec<OpenRun>> {
    let (workspace, run) = after.unwrap_or((WorkspaceId(Uuid::nil()), RunId(Uuid::nil())));
    let (age_seconds, known) = (age.as_secs_f64(), known.to_vec());
    let runs = raw_sql!(
        Postgres,
        "select r.workspace_id, r.id, not r.admitted as admits, r.objects_pending > 0 as fetches,
             exists (select from job where job.run_id = r.id) as has_jobs
         from run r join workspace w on w.id = r.workspace_id
         where r.finished_at is null and w.deleted_at is null and (r.workspace_id, r.id) > ({workspace}, {run})
             and r.created_at <= now() - make_interval(secs => {age_seconds})
             and not exists (
                 select from job where job.run_id = r.id and job.kind || ' ' || job.version <> all({known}::text[]))
         order by r.workspace_id, r.id limit {limit}"
    );
    sql::all(conn, runs).await
}

/// An open item that has no job.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `run_item`")]
pub struct LostItem {
    pub workspace_id: WorkspaceId,
    pub run_id: RunId,
    pub id: ItemId,
}

/// The open items of these runs that have no job and did not change for `age`, at most `limit`.
pub async fn items(
    conn: &impl Conn,
    runs: &[(WorkspaceId, RunId)],
    age: Duration,
    limit: i64,
) -> Result<Vec<LostItem>> {
    let (workspaces, runs): (Vec<WorkspaceId>, Vec<RunId>) = runs.iter().copied().unzip();
    let age_seconds = age.as_secs_f64();
    // As texts: a payload that is no id must not end the statement.
    let lost = raw_sql!(
        Postgres,
        "with worked as materialized (
             select payload->>'item' as item from job where run_id = any({runs}) and payload->>'item' is not null
             union all
             select shared.item from job cross join lateral jsonb_array_elements_text(
                 case when jsonb_typeof(payload->'items') = 'array' then payload->'items' end) shared (item)
             where run_id = any({runs}))
         select i.workspace_id, i.run_id, i.id
         from unnest({workspaces}::uuid[], {runs}::uuid[]) open (workspace_id, id)
         join run_item i on i.workspace_id = open.workspace_id and i.run_id = open.id
         where i.state in ('queued', 'running') and i.updated_at <= now() - make_interval(secs => {age_seconds})
             and not exists (select from worked where worked.item = i.id::text)
         order by i.workspace_id, i.run_id, i.id limit {limit}"
    );
    sql::all(conn, lost).await
}

/// Whether a run has a job of one of these kinds.
pub async fn has_job(conn: &impl Conn, run: RunId, kinds: &[&str]) -> Result<bool> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let found =
        raw_sql!(Postgres, "select exists (select from job where run_id = {run} and kind = any({kinds}::text[]))");
    Ok(sql::first_value(conn, found).await?.unwrap_or(false))
}

/// The batches of objects that a run has to fetch and that no job fetches: their nodes and ids.
pub async fn batches(
    conn: &impl Conn,
    workspace: WorkspaceId,
    pipeline: PipelineId,
    run: RunId,
) -> Result<Vec<(String, BatchId)>> {
    let lost = raw_sql!(
        Postgres,
        "select distinct o.node, o.batch_id from source_object o
         where o.workspace_id = {workspace} and o.pipeline_id = {pipeline} and o.seen_run_id = {run}
             and o.batch_id is not null and o.pending is not null
             and not exists (
                 select from job where job.run_id = o.seen_run_id and job.payload->>'batch' = o.batch_id::text)
         order by o.node, o.batch_id"
    );
    sql::all_values(conn, lost).await
}

/// Whether nothing is left to do for a run that all files have entered: it has no job, no open item and no object to be fetched.
pub async fn is_over(conn: &impl Conn, workspace: WorkspaceId, pipeline: PipelineId, run: RunId) -> Result<bool> {
    let over = raw_sql!(
        Postgres,
        "select not exists (select from job where run_id = {run})
             and not exists (
                 select from run_item
                 where workspace_id = {workspace} and run_id = {run} and state in ('queued', 'running'))
             and not exists (
                 select from source_object
                 where workspace_id = {workspace} and pipeline_id = {pipeline} and seen_run_id = {run}
                     and batch_id is not null and pending is not null)"
    );
    Ok(sql::first_value(conn, over).await?.unwrap_or(false))
}

/// Sets the counts of a run for which nothing is left to do: those of items whose files were deleted meanwhile still count as open.
pub async fn close_counts(tx: &Tx, workspace: WorkspaceId, run: RunId) -> Result<()> {
    let closed = raw_sql!(
        Postgres,
        "update run set items_open = 0, objects_pending = 0 where workspace_id = {workspace} and id = {run}"
    );
    sql::execute(tx, closed).await?;
    Ok(())
}
