//! The visible course of an item: its states, its progress and events, and the end of its run, changed together.

use std::{collections::HashMap, time::Duration};

use nvisy_shared::{
    domain::{
        event::EventType,
        failure::Failure,
        file::FileState,
        run::{ItemState, LogKind, RunState, RunTrigger},
    },
    id::{ItemId, JobId, RunId, VersionId, WorkspaceId},
    pipeline::{plan::Plan, progress::Replaces},
    runs,
    store::{
        self,
        change::Change,
        item_log::NewEntry,
        run_item::{FinishedItem, Item, ItemFailure, WorkDone},
        target::Written,
    },
    telemetry::metrics::metrics,
};
use serde_json::json;

use super::settle;
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

/// An item that ends in this transaction: [`end`].
#[must_use]
pub(super) struct ItemOutcome {
    item: Item,
    end: ItemEnd,
    work: WorkDone,
}

/// How an item ends.
enum ItemEnd {
    /// Every sink has what is due to it.
    Finished(Replaces),
    Failed(ItemFailure),
}

impl ItemOutcome {
    /// Every sink has what is due to it. `work` is that of the job that finishes the item.
    pub(super) const fn finished(item: Item, work: WorkDone, replaces: Replaces) -> Self {
        Self { item, end: ItemEnd::Finished(replaces), work }
    }

    /// The item, with its progress.
    pub(super) const fn item(&self) -> &Item {
        &self.item
    }

    /// What its results replace; `None`: it failed.
    const fn replaces(&self) -> Option<&Replaces> {
        match &self.end {
            ItemEnd::Finished(replaces) => Some(replaces),
            ItemEnd::Failed(_) => None,
        }
    }

    fn row(&self) -> FinishedItem<'_> {
        let (state, failed) = match &self.end {
            ItemEnd::Finished(_) if self.item.progress.written > 0 => (ItemState::Done, None),
            ItemEnd::Finished(_) => (ItemState::Skipped, None),
            ItemEnd::Failed(failed) => (ItemState::Failed, Some(failed)),
        };
        FinishedItem { item: &self.item, state, failed, work: self.work }
    }
}

/// An item that has ended in this transaction, and that its run does not know of yet: [`count`].
#[must_use]
pub(super) struct Ended {
    item: Item,
    failed: Option<ItemFailure>,
    /// Whether the state of its file followed from it.
    is_settled: bool,
    /// How long the file took from its upload until search finds it. To be counted once the transaction has committed.
    pub(super) searchable_after: Option<Duration>,
}

impl Ended {
    /// The version whose file is still being processed, if the item has a part in that.
    pub(super) fn unsettled_version(&self) -> Option<VersionId> {
        (self.item.decides_file() && !self.is_settled).then_some(self.item.version_id)
    }
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
    let run = item.run_id;
    let end = ItemEnd::Failed(ItemFailure { failure: failure.clone(), attempt, fails_run });
    let ended = self::end(change, workspace, vec![ItemOutcome { item, end, work: WorkDone::default() }]).await?;
    count(change, workspace, run, 0, &ended).await?;
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
    let outcome = ItemOutcome::finished(item.clone(), WorkDone::default(), Replaces::nothing(plan));
    let ended = end(change, workspace, vec![outcome]).await?;
    count(change, workspace, item.run_id, 0, &ended).await
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

/// Records the end of items, in one statement for each table where that is possible: the rows of each become visible together, and
/// those of its pipeline for the file before it go; partial results of a failed one go. The caller counts them in their run.
pub(super) async fn end(
    change: &mut Change,
    workspace: WorkspaceId,
    outcomes: Vec<ItemOutcome>,
) -> Result<Vec<Ended>, JobError> {
    let rows: Vec<_> = outcomes.iter().map(ItemOutcome::row).collect();
    store::run_item::finish(change, workspace, &rows).await?;
    let (mut failed, mut complete) = (Vec::new(), Vec::new());
    for outcome in outcomes.iter().filter(|outcome| !outcome.item.preview) {
        match outcome.replaces() {
            Some(replaces) => complete.push((&outcome.item, replaces)),
            None => failed.push(outcome.item.id),
        }
    }
    for item in &failed {
        store::target::discard(change, workspace, *item).await?;
    }
    if !failed.is_empty() {
        store::external_target::abandon(change, workspace, failed).await?;
    }
    let of: Vec<_> = complete.iter().map(|(item, _)| (item.file_id, item.version_id)).collect();
    let written = store::target::written(change, workspace, &of).await?;
    replace(change, workspace, &complete, &written).await?;
    let items: Vec<&Item> = outcomes.iter().map(|outcome| &outcome.item).collect();
    let mut settled = settle::files(change, workspace, &items, &written).await?;
    let without_targets = of.iter().map(|(_, version)| *version).filter(|version| {
        let has_other_count = written.get(version).is_some_and(|written| written.chunks && !written.targets);
        has_other_count && !settled.get(version).is_some_and(|of_file| of_file.is_ready)
    });
    store::file::set_no_chunks(change, workspace, without_targets.collect()).await?;
    let ended = outcomes.into_iter().map(|ItemOutcome { item, end, .. }| {
        let of_file = settled.get_mut(&item.version_id).filter(|_| item.decides_file());
        let is_settled = of_file.is_some();
        let searchable_after = of_file.and_then(|of_file| of_file.searchable_after.take());
        let failed = match end {
            ItemEnd::Finished(_) => None,
            ItemEnd::Failed(failed) => Some(failed),
        };
        Ended { item, failed, is_settled, searchable_after }
    });
    Ok(ended.collect())
}

/// Makes the results of items visible in place of those that they replace. `written` is what pipelines have written for their files.
async fn replace(
    change: &mut Change,
    workspace: WorkspaceId,
    items: &[(&Item, &Replaces)],
    written: &HashMap<VersionId, Written>,
) -> Result<(), JobError> {
    let with = |kind: fn(&Written) -> bool| -> Vec<(&Item, &Replaces)> {
        let items = items.iter().filter(|(item, _)| written.get(&item.version_id).is_some_and(kind));
        items.copied().collect()
    };
    // Before the targets, whose publication locks the workspace's usage.
    let mut waited = Vec::new();
    for (item, replaces) in with(|written| written.files) {
        // Files that an earlier run made of this file, and this one did not.
        let source = effects::derived_source(item);
        waited.extend(store::derived::delete_others(change, workspace, item, &source, replaces).await?);
    }
    runs::end_finished(change, workspace, waited).await?;
    for (item, replaces) in with(|written| written.targets) {
        store::target::publish(change, workspace, item.id, replaces).await?;
    }
    for (item, replaces) in with(|written| written.external) {
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
