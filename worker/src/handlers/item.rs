//! The visible course of an item: its states, its progress and events, and the end of its run, changed together.

use std::time::Duration;

use nvisy_shared::{
    domain::{
        event::EventType,
        failure::Failure,
        file::FileState,
        run::{ItemState, LogKind, RunState, RunTrigger},
    },
    id::{ItemId, JobId, RunId, WorkspaceId},
    pipeline::{plan::Plan, progress::Replaces},
    runs,
    store::{
        self,
        change::Change,
        item_log::NewEntry,
        run_item::{Item, ItemFailure, WorkDone},
    },
    telemetry::metrics::metrics,
};
use serde_json::json;

use crate::{pipeline::effects, runner::JobError};

/// Locks an unfinished item and its file. [`JobError::Obsolete`] when the item is finished or the file is deleted.
pub(crate) async fn open(change: &Change, workspace: WorkspaceId, item: ItemId) -> Result<Item, JobError> {
    let item = store::locks::lock_item(change, workspace, item).await?;
    item.filter(|item| item.state.is_open()).ok_or(JobError::Obsolete)
}

/// Records that a worker has started the item.
pub(super) async fn started(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    stage: &str,
) -> Result<(), JobError> {
    store::run_item::start(change, workspace, vec![item.id]).await?;
    store::run_item::start_run(change, workspace, item.run_id).await?;
    arrived(change, workspace, item, stage).await
}

/// Shows at the file that the item is being processed, if it decides the state of the file.
pub(super) async fn arrived(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    stage: &str,
) -> Result<(), JobError> {
    if item.decides_file() {
        store::file::set_state(change, workspace, item.version_id, FileState::Processing, None).await?;
        progressed(change, item, stage, 0, None);
    }
    Ok(())
}

/// Progress events of a stage, at most: a long file must not fill the event log.
const MAX_EVENTS: u64 = 64;

/// Whether an event is due when the elements done rise from `before` to `after`.
pub(super) fn is_step(before: u32, after: u32, total: u32) -> bool {
    let step = |done: u32| u64::from(done) * MAX_EVENTS / u64::from(total).max(1);
    step(before) < step(after)
}

/// Records progress within a stage.
pub(super) fn progressed(change: &mut Change, item: &Item, stage: &str, done: u32, total: Option<u32>) {
    if item.decides_file() {
        let data = json!({ "stage": stage, "done": done, "total": total });
        change.emit(EventType::FileProgressed, item.file_id, data);
    }
}

/// An item that has ended in this transaction, and that its run does not know of yet: [`count`].
#[must_use]
pub(super) struct Ended {
    item: Item,
    failed: Option<ItemFailure>,
    /// How long the file took from its upload until search finds it. To be counted once the transaction has committed.
    pub(super) searchable_after: Option<Duration>,
}

/// Records that every sink has what is due to it: the item's rows become visible together, and those of its pipeline for the
/// file before it go, which it replaces. `work` is that of the job that finishes it.
pub(super) async fn finished(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    work: WorkDone,
    replaces: &Replaces,
) -> Result<Ended, JobError> {
    let state = if item.progress.written > 0 { ItemState::Done } else { ItemState::Skipped };
    end(change, workspace, item, work, ItemEnd::Finished(state, replaces)).await
}

/// How an item ends.
enum ItemEnd<'a> {
    Finished(ItemState, &'a Replaces),
    Failed(ItemFailure),
}

/// Records that the item failed, removes its partial results, and counts it in its run. `fails_run`: the run fails with it.
pub(super) async fn failed(
    change: &mut Change,
    workspace: WorkspaceId,
    item: ItemId,
    failure: &Failure,
    attempt: i32,
    fails_run: bool,
) -> Result<(), JobError> {
    let item = match open(change, workspace, item).await {
        Err(JobError::Obsolete) => return Ok(()),
        item => item?,
    };
    let entry = NewEntry::failure(LogKind::Failed, failure);
    store::item_log::append(change, workspace, item.id, &entry).await?;
    let failed = ItemEnd::Failed(ItemFailure { failure: failure.clone(), attempt, fails_run });
    let ended = end(change, workspace, &item, WorkDone::default(), failed).await?;
    count(change, workspace, item.run_id, 0, &[ended]).await?;
    metrics().file_failed(failure.code.as_str());
    Ok(())
}

/// Records the end of an item that wrote nothing itself, and counts it in its run: a preview, or a file that no source takes.
pub(crate) async fn finish(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    plan: &Plan,
) -> Result<(), JobError> {
    let ended = finished(change, workspace, item, WorkDone::default(), &Replaces::nothing(plan)).await?;
    count(change, workspace, item.run_id, 0, &[ended]).await
}

/// Whether a percent of all is complete with those between `before` and `after`.
const fn is_percent(before: i32, after: i32, all: i32) -> bool {
    let step = if all > 100 { all / 100 } else { 1 };
    before / step < after / step
}

/// Failed items of a run that have an event each. A run of a million items that all fail must not fill the event log.
const MAX_FAILURE_EVENTS: i32 = 10;

/// Whether the item that failed as number `failed` has an event: the first ones have, and then one for each percent of those that
/// have entered.
const fn has_failure_event(failed: i32, items: i32) -> bool {
    failed <= MAX_FAILURE_EVENTS || is_percent(failed - 1, failed, items)
}

async fn end(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    work: WorkDone,
    how: ItemEnd<'_>,
) -> Result<Ended, JobError> {
    let (state, failed, replaces) = match how {
        ItemEnd::Finished(state, replaces) => (state, None, Some(replaces)),
        ItemEnd::Failed(failed) => (ItemState::Failed, Some(failed), None),
    };
    store::run_item::finish(change, workspace, item, state, failed.as_ref(), work).await?;
    let mut searchable_after = None;
    if !item.preview {
        match replaces {
            Some(replaces) => replace(change, workspace, item, replaces).await?,
            None => {
                store::target::discard(change, workspace, item.id).await?;
                store::external_target::abandon(change, workspace, vec![item.id]).await?;
            }
        }
        if item.decides_file() {
            searchable_after = settle_file(change, workspace, item).await?;
        }
    }
    Ok(Ended { item: item.clone(), failed, searchable_after })
}

/// Makes the results of an item visible in place of those that it replaces.
async fn replace(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    replaces: &Replaces,
) -> Result<(), JobError> {
    let written = store::target::written(change, workspace, item.file_id, item.version_id).await?;
    // Before the targets, whose publication locks the workspace's usage.
    if written.files {
        // Files that an earlier run made of this file, and this one did not.
        let source = effects::derived_source(item);
        let waited = store::derived::delete_others(change, workspace, item, &source, replaces).await?;
        runs::end_finished(change, workspace, waited).await?;
    }
    if written.targets {
        store::target::publish(change, workspace, item.id, replaces).await?;
    }
    if written.external {
        let (pipeline, file, source) = (item.pipeline_id, item.file_id, effects::source(item));
        store::external_target::supersede(change, workspace, pipeline, file, source, replaces).await?;
    }
    Ok(())
}

/// Counts items of a run that this transaction has added or that have ended in it, and ends the run with the last one. This is the
/// last thing that a transaction does: the items of a run end in many transactions, which share the row of the run.
pub(super) async fn count(
    change: &mut Change,
    workspace: WorkspaceId,
    run: RunId,
    added: usize,
    ended: &[Ended],
) -> Result<(), JobError> {
    if added == 0 && ended.is_empty() {
        return Ok(());
    }
    // Before the run, whose end changes the usage.
    store::history::lock(change, workspace).await?;
    store::run_item::count_added(change, workspace, run, added).await?;
    let Some(Ended { item: last, .. }) = ended.last() else { return Ok(()) };
    let ids = ended.iter().map(|ended| ended.item.id).collect();
    let of_run = ended.iter().filter_map(|ended| ended.failed.as_ref()).find(|failed| failed.fails_run);
    let of_run = of_run.map(|failed| &failed.failure);
    let run = store::run_item::count_ended(change, workspace, run, ids, of_run).await?;
    let number_of = |items: usize| i32::try_from(items).unwrap_or(i32::MAX);
    let failed: Vec<_> = ended.iter().filter_map(|ended| Some((&ended.item, ended.failed.as_ref()?))).collect();
    let first = run.items_failed - number_of(failed.len()) + 1;
    for (number, (item, ItemFailure { failure, .. })) in (first..).zip(failed) {
        if !item.decides_file() && has_failure_event(number, run.items) {
            let data = json!({
                "runId": item.run_id, "fileId": item.file_id, "code": failure.code, "node": failure.node, "failed": number,
            });
            change.emit(EventType::ItemFailed, item.id, data);
        }
    }
    let before = run.items_ended - number_of(ended.len());
    match run.ended {
        Some(state) => runs::ended(change, workspace, last, state).await?,
        None if last.trigger != RunTrigger::Upload && is_percent(before, run.items_ended, run.items) => {
            let data = json!({ "items": run.items, "ended": run.items_ended });
            change.emit(EventType::RunProgressed, last.run_id, data);
        }
        None => {}
    }
    Ok(())
}

/// Sets the state of a file whose arrival started the item, once all pipelines that process it are done. Returns how long it took.
async fn settle_file(change: &mut Change, workspace: WorkspaceId, item: &Item) -> Result<Option<Duration>, JobError> {
    let (file, version) = (item.file_id, item.version_id);
    let Some(outcome) = store::processing::arrival_outcome(change, workspace, version).await? else { return Ok(None) };
    if let Some(failure) = outcome.failure {
        store::file::set_state(change, workspace, version, FileState::Failed, Some(&failure)).await?;
        change.emit(EventType::FileFailed, file, json!({ "code": failure.code, "detail": failure.detail }));
        return Ok(None);
    }
    let (chunks, seconds) = store::processing::set_ready(change, workspace, file, version).await?;
    change.emit(EventType::FileReady, file, json!({ "versionId": version, "chunks": chunks }));
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Ends a run because of one item, behind [`runs::lock_open`]; the job that decides it goes on.
pub(super) async fn fail_run(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    failure: &Failure,
    job: JobId,
) -> Result<(), JobError> {
    runs::abort(change, workspace, item.run_id, RunState::Failed, Some(failure), Some(job)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_has_an_event_for_each_percent_of_its_items() {
        let events = |items: i32| (1..items).filter(|ended| is_percent(ended - 1, *ended, items)).count();
        assert_eq!(events(3), 2);
        assert_eq!(events(100), 99);
        assert_eq!(events(1_000_000), 99);
        assert!(is_percent(0, 20, 1_000) && is_percent(5, 15, 1_000) && !is_percent(11, 19, 1_000));
    }

    #[test]
    fn failures_of_a_large_run_share_events() {
        let events = |items: i32| (1..=items).filter(|failed| has_failure_event(*failed, items)).count();
        assert_eq!(events(100), 100);
        assert_eq!(events(1_000), 109);
        assert_eq!(events(1_000_000), 110);
    }

    #[test]
    fn long_stage_has_at_most_64_events_and_a_short_one_all() {
        let events = |total: u32, units: u32| {
            (0..total).step_by(units as usize).filter(|done| is_step(*done, done + units, total)).count()
        };
        assert_eq!(events(13_000, 8), 64);
        assert_eq!(events(40, 8), 5);
    }
}
