//! Failed items, of one run or of all runs of a workspace, and how they are put back into the queue.

use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, raw_sql};

use super::{Conn, Result, Tx, history, search::Parameters, sql};
use crate::{
    domain::run::{FailedItems, ItemState},
    id::{ItemId, PipelineId, RunId, WorkspaceId},
};

/// A failed item, and the version of the pipeline that it failed in.
#[derive(Clone, Copy, Debug, FromQueryResult)]
#[allow(missing_docs, reason = "columns of `run_item` and `run`")]
pub struct FailedItem {
    pub id: ItemId,
    pub pipeline_id: PipelineId,
    pub pipeline_version: i32,
}

/// How many of the failed items there are, counted up to `limit`, and the time until which they failed: now.
pub async fn count(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &FailedItems,
    limit: i64,
) -> Result<(i64, DateTime<Utc>)> {
    let mut parameters = Parameters::default();
    let mut conditions = conditions(workspace, of, &mut parameters);
    conditions.push("i.finished_at <= now()".to_owned());
    let text = format!("select count(*), now() from ({}) failed", select(&conditions, limit, &mut parameters));
    let counted = sql::first_value(conn, parameters.into_statement(text)).await?;
    Ok(counted.unwrap_or_default())
}

/// The next of the failed items, by id: those after `after` that failed until a time, at most `limit`.
pub async fn page(
    conn: &impl Conn,
    workspace: WorkspaceId,
    of: &FailedItems,
    until: DateTime<Utc>,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<FailedItem>> {
    let mut parameters = Parameters::default();
    let mut conditions = conditions(workspace, of, &mut parameters);
    conditions.push(format!("i.finished_at <= {}", parameters.bind(until)));
    if let Some(after) = after {
        conditions.push(format!("i.id > {}", parameters.bind(after)));
    }
    let text = select(&conditions, limit, &mut parameters);
    sql::all(conn, parameters.into_statement(text)).await
}

/// Failures that stand: of the newest version of a file, and of the newest item of the pipeline for it. Cancelled runs stay as they
/// are, previews write nothing, and of a pipeline one sync at a time goes on, so that its runs are retried one by one.
fn conditions(workspace: WorkspaceId, of: &FailedItems, parameters: &mut Parameters) -> Vec<String> {
    let mut conditions = vec![
        format!("i.workspace_id = {}", parameters.bind(workspace)),
        // A literal, as in the index.
        "i.state = 'failed'".to_owned(),
        "not r.preview and not r.syncs and r.state <> 'cancelled'".to_owned(),
        "not exists (
             select from run_item newer join run n on n.workspace_id = newer.workspace_id and n.id = newer.run_id
             where newer.workspace_id = i.workspace_id and newer.version_id = i.version_id and newer.id > i.id
                 and n.pipeline_id = r.pipeline_id and not n.preview
                 and (newer.entry = i.entry or n.pipeline_version > r.pipeline_version))"
            .to_owned(),
    ];
    if let Some(code) = of.code {
        conditions.push(format!("i.failure_code = {}", parameters.bind(code)));
    }
    if let Some(pipeline) = of.pipeline {
        conditions.push(format!("r.pipeline_id = {}", parameters.bind(pipeline)));
    }
    if let Some(since) = of.since {
        conditions.push(format!("i.finished_at >= {}", parameters.bind(since)));
    }
    conditions
}

fn select(conditions: &[String], limit: i64, parameters: &mut Parameters) -> String {
    format!(
        "select i.id, r.pipeline_id, r.pipeline_version
         from run_item i
         join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
         join file f on f.workspace_id = i.workspace_id and f.id = i.file_id and f.version_id = i.version_id
         where {} order by i.id limit {}",
        conditions.join(" and "),
        parameters.bind(limit)
    )
}

/// The items of a run in one of these states, by id: of the failed ones those with `code` only, or one item, if given.
pub async fn of_run(
    conn: &impl Conn,
    workspace: WorkspaceId,
    run: RunId,
    states: &[ItemState],
    code: Option<&str>,
    item: Option<ItemId>,
) -> Result<Vec<ItemId>> {
    let states: Vec<String> = states.iter().map(|state| state.name().to_owned()).collect();
    let failed = raw_sql!(
        Postgres,
        "select id from run_item
         where workspace_id = {workspace} and run_id = {run} and state = any({states}::text[])
             and ({code}::text is null or failure_code = {code}) and ({item}::uuid is null or id = {item})
         order by id"
    );
    sql::all_values(conn, failed).await
}

/// Deletes the jobs that failed or cancelled items have left: those of other units, which would go on with the next attempt at the item
/// and count as its own. Jobs are locked before items. Reads the jobs of the runs once, however many items there are.
pub async fn delete_jobs(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<()> {
    let deleted = raw_sql!(
        Postgres,
        "with item as materialized (
             select run_id, id::text as id from run_item
             where workspace_id = {workspace} and id = any({items}) and state in ('failed', 'cancelled')),
         obsolete as (
             select job.id from job
             where job.run_id = any(array(select distinct run_id from item)) and job.payload->>'item' in (select id from item)
             order by job.id for update)
         delete from job using obsolete where job.id = obsolete.id"
    );
    sql::execute(tx, deleted).await?;
    Ok(())
}

/// Puts items back into the queue that have failed or were cancelled; the caller has locked them, and calls [`reopen_runs`]. They begin
/// again as [`Progress::begin_again`](crate::pipeline::progress::Progress::begin_again) says, with no restarts.
pub async fn requeue(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>) -> Result<()> {
    let requeued = raw_sql!(
        Postgres,
        "update run_item set state = 'queued', failure_code = null, failure_detail = null, failure_node = null,
             failure_attempt = null, finished_at = null, updated_at = now(), done = 0, total = null,
             progress = jsonb_build_object(
                 'segments', jsonb_build_object(entry::text, jsonb_build_object('done', 0, 'total', 1)),
                 'generation', coalesce((progress->>'generation')::bigint, 0) + 1)
         where workspace_id = {workspace} and id = any({items})"
    );
    sql::execute(tx, requeued).await?;
    Ok(())
}

/// Opens the runs of items again, and takes back what was counted of those that had `failed`: their next end counts all of their
/// work. Of cancelled ones nothing was counted. Locks the usage of the workspace, which that changes, before the runs.
pub async fn reopen_runs(tx: &Tx, workspace: WorkspaceId, items: Vec<ItemId>, failed: Vec<ItemId>) -> Result<()> {
    history::lock(tx, workspace).await?;
    let reopened = raw_sql!(
        Postgres,
        "with item as (
             select run_id, id = any({failed}) as failed, reused, recomputed, tokens, tokens_saved
             from run_item where workspace_id = {workspace} and id = any({items})),
         counted as (
             select run_id, count(*)::integer as items, (count(*) filter (where failed))::integer as failed,
                 coalesce(sum(reused) filter (where failed), 0) as reused,
                 coalesce(sum(recomputed) filter (where failed), 0) as recomputed,
                 coalesce(sum(tokens) filter (where failed), 0)::bigint as tokens,
                 coalesce(sum(tokens_saved) filter (where failed), 0)::bigint as tokens_saved
             from item group by run_id),
         locked as (
             select r.id, counted.* from run r join counted on counted.run_id = r.id
             where r.workspace_id = {workspace} order by r.id for no key update of r)
         update run set state = 'running', finished_at = null, items_open = run.items_open + locked.items,
             items_failed = run.items_failed - locked.failed, reused = run.reused - locked.reused,
             recomputed = run.recomputed - locked.recomputed, tokens = run.tokens - locked.tokens,
             tokens_saved = run.tokens_saved - locked.tokens_saved, failure_code = null, failure_detail = null,
             webhook_delivered_at = null, webhook_failure = null
         from locked where run.workspace_id = {workspace} and run.id = locked.id"
    );
    sql::execute(tx, reopened).await?;
    Ok(())
}
