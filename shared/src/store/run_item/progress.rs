//! The progress of items, and their end.

use sea_orm::{ActiveEnum, raw_sql};
use serde_json::json;

use super::{
    super::{Result, Tx, sql},
    Item,
};
use crate::{
    domain::{failure::Failure, run::ItemState},
    id::{ItemId, WorkspaceId},
};

/// What a job has computed, reused and spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkDone {
    /// Outputs that were found by their content keys.
    pub reused: u32,
    /// Outputs that were computed.
    pub recomputed: u32,
    /// Tokens that a model was given.
    pub tokens: u64,
    /// Tokens whose results were found.
    pub tokens_saved: u64,
}

/// How far an item is, behind a job.
#[derive(Clone, Debug)]
pub struct ItemProgress {
    /// The item, with its progress.
    pub item: Item,
    /// The first node of its current segment; `None`: as before.
    pub stage: Option<String>,
    /// The work of the job.
    pub work: WorkDone,
}

/// Stores the progress of items, and adds the work of jobs.
pub async fn store_progress(tx: &Tx, workspace: WorkspaceId, items: &[ItemProgress]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let stages: Vec<String> = items.iter().map(|at| at.stage.clone().unwrap_or_default()).collect();
    let rows = ProgressRows::of(items.iter().map(|at| (&at.item, at.work)));
    let ProgressRows { ids, progress, done, total, reused, recomputed, tokens, tokens_saved } = rows;
    let stored = raw_sql!(
        Postgres,
        "update run_item i set stage = coalesce(nullif(t.stage, ''), i.stage), progress = t.progress::jsonb, done = t.done,
             total = t.total, reused = i.reused + t.reused, recomputed = i.recomputed + t.recomputed,
             tokens = i.tokens + t.tokens, tokens_saved = i.tokens_saved + t.tokens_saved, updated_at = now()
         from (
             select {workspace}::uuid as workspace_id, given.*
             from unnest({ids}::uuid[], {stages}::text[], {progress}::text[], {done}::integer[], {total}::integer[],
                     {reused}::bigint[], {recomputed}::bigint[], {tokens}::bigint[], {tokens_saved}::bigint[])
                 given (id, stage, progress, done, total, reused, recomputed, tokens, tokens_saved) offset 0) t
         where (i.workspace_id, i.id) = (t.workspace_id, t.id)"
    );
    sql::execute(tx, stored).await?;
    Ok(())
}

/// Columns of the progress of items, as lists.
struct ProgressRows {
    ids: Vec<ItemId>,
    progress: Vec<String>,
    done: Vec<i32>,
    total: Vec<i32>,
    reused: Vec<i64>,
    recomputed: Vec<i64>,
    tokens: Vec<i64>,
    tokens_saved: Vec<i64>,
}

impl ProgressRows {
    fn of<'a>(items: impl Iterator<Item = (&'a Item, WorkDone)> + Clone) -> Self {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let current = |item: &Item| item.progress.current().map(|(_, at)| at).unwrap_or_default();
        Self {
            ids: items.clone().map(|(item, _)| item.id).collect(),
            progress: items.clone().map(|(item, _)| json!(item.progress).to_string()).collect(),
            done: items.clone().map(|(item, _)| count(current(item).done)).collect(),
            total: items.clone().map(|(item, _)| count(current(item).total)).collect(),
            reused: items.clone().map(|(_, work)| work.reused.into()).collect(),
            recomputed: items.clone().map(|(_, work)| work.recomputed.into()).collect(),
            tokens: items.clone().map(|(_, work)| number(work.tokens)).collect(),
            tokens_saved: items.map(|(_, work)| number(work.tokens_saved)).collect(),
        }
    }
}

/// Where and at which attempt an item failed.
#[derive(Clone, Debug)]
pub struct ItemFailure {
    /// The failure.
    pub failure: Failure,
    /// The attempt, from 1.
    pub attempt: i32,
    /// Whether the failure is that of the run.
    pub fails_run: bool,
}

/// An item that a job finishes.
#[derive(Clone, Copy, Debug)]
pub struct FinishedItem<'a> {
    /// The item, with its progress.
    pub item: &'a Item,
    /// How it ends.
    pub state: ItemState,
    /// Exactly for [`ItemState::Failed`].
    pub failed: Option<&'a ItemFailure>,
    /// The work of the job.
    pub work: WorkDone,
}

/// Finishes items in one statement; `item::count_ended` counts them in their run, later in the transaction.
pub async fn finish(tx: &Tx, workspace: WorkspaceId, items: &[FinishedItem<'_>]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let states: Vec<String> = items.iter().map(|end| end.state.to_value()).collect();
    let failures = || items.iter().map(|end| end.failed.map(|at| &at.failure));
    // Empty without a failure.
    let codes: Vec<String> = failures().map(|at| at.map(|at| at.code.to_value()).unwrap_or_default()).collect();
    let details: Vec<String> = failures().map(|at| at.map(|at| at.detail.clone()).unwrap_or_default()).collect();
    let nodes: Vec<String> = failures().map(|at| at.and_then(|at| at.node.clone()).unwrap_or_default()).collect();
    let attempts: Vec<i32> = items.iter().map(|end| end.failed.map_or(0, |at| at.attempt)).collect();
    let rows = ProgressRows::of(items.iter().map(|end| (end.item, end.work)));
    let ProgressRows { ids, progress, done, total, reused, recomputed, tokens, tokens_saved } = rows;
    let finished = raw_sql!(
        Postgres,
        "update run_item i set state = t.state, failure_code = nullif(t.code, ''),
             failure_detail = case when t.code <> '' then t.detail end, failure_node = nullif(t.node, ''),
             failure_attempt = case when t.code <> '' then t.attempt end, progress = t.progress::jsonb, done = t.done,
             total = t.total, reused = i.reused + t.reused, recomputed = i.recomputed + t.recomputed,
             tokens = i.tokens + t.tokens, tokens_saved = i.tokens_saved + t.tokens_saved, finished_at = now(),
             updated_at = now()
         from (
             select {workspace}::uuid as workspace_id, given.*
             from unnest({ids}::uuid[], {states}::text[], {codes}::text[], {details}::text[], {nodes}::text[],
                     {attempts}::integer[], {progress}::text[], {done}::integer[], {total}::integer[], {reused}::bigint[],
                     {recomputed}::bigint[], {tokens}::bigint[], {tokens_saved}::bigint[])
                 given (id, state, code, detail, node, attempt, progress, done, total, reused, recomputed, tokens, tokens_saved)
             offset 0) t
         where (i.workspace_id, i.id) = (t.workspace_id, t.id)"
    );
    sql::execute(tx, finished).await?;
    Ok(())
}
