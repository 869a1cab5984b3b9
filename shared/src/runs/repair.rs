//! Runs that have lost jobs, which would wait forever.
//!
//! Jobs and rows are written together, so that this happens only when PostgreSQL has lost a part of what it confirmed, a backup was
//! restored by halves, or a program has an error.

use std::time::Duration;

use super::{end::ended_without_its_last_item, segment_job};
use crate::{
    domain::run::LogKind,
    entity::run,
    id::{ItemId, RunId, WorkspaceId},
    job::{AdmitItems, EnterItem, FetchObjects, Job, RunItems, RunSegment, SyncSource},
    pipeline::plan::Plan,
    queue::outbox,
    store::{
        self, Result,
        change::Change,
        item_log::NewEntry,
        lost_job,
        run_item::{Item, ItemProgress, WorkDone},
    },
};

/// Items that get a job in one transaction, at most.
pub const REPAIRED_AT_ONCE: usize = 100;
/// The jobs that let files enter a run.
pub const SOURCE_JOBS: [&str; 2] = [AdmitItems::KIND, SyncSource::KIND];

/// The jobs of runs that this version knows: kind and version.
#[must_use]
pub fn known_jobs() -> Vec<String> {
    fn name<J: Job>() -> String {
        format!("{} {}", J::KIND, J::VERSION)
    }
    vec![
        name::<AdmitItems>(),
        name::<EnterItem>(),
        name::<FetchObjects>(),
        name::<RunItems>(),
        name::<RunSegment>(),
        name::<SyncSource>(),
    ]
}

/// Gives jobs to open items of a run that have none and did not change for `age`. Returns their number, at most
/// [`REPAIRED_AT_ONCE`]. `plan` is missing where only a newer version can compile the definition, and `unit` is that of
/// [`Progress::start_ready`](crate::pipeline::progress::Progress::start_ready).
///
/// # Errors
/// When the database fails.
pub async fn repair_items(
    change: &mut Change,
    workspace: WorkspaceId,
    run: &run::Model,
    plan: Option<&Plan>,
    unit: impl Fn(u32) -> u32 + Copy + Send + Sync,
    age: Duration,
) -> Result<usize> {
    // Of such a run no process could tell yet where its file enters.
    let enters = run.code_versions.is_none() && run.selection.is_none();
    if plan.is_none() && !enters {
        return Ok(0);
    }
    let (of, limit) = ([(workspace, run.id)], REPAIRED_AT_ONCE as i64);
    let lost = lost_job::items(change.tx(), &of, age, limit).await?;
    let locked = store::locks::lock_items(change, workspace, lost.iter().map(|item| item.id).collect()).await?;
    // Again, because another transaction may have ended an item or given it a job before it was locked.
    let lost: Vec<ItemId> = lost_job::items(change.tx(), &of, age, limit).await?.iter().map(|item| item.id).collect();
    let mut repaired = 0;
    for item in locked.into_iter().filter(|item| item.state.is_open() && lost.contains(&item.id)) {
        let entry = NewEntry::new(LogKind::Retried, None, "its job was lost, and it goes on with another one");
        store::item_log::append(change, workspace, item.id, &entry).await?;
        if let Some(plan) = plan.filter(|_| !enters) {
            go_on(change, workspace, item, plan, unit).await?;
        } else {
            // The lost job had the route of the upload. Without it, the triggers and filters of the sources decide.
            let job = EnterItem { run: run.id, item: item.id, pipeline: None, collection: None };
            outbox::enqueue(change, workspace, &job).await?;
        }
        repaired += 1;
    }
    Ok(repaired)
}

/// Adds the jobs of the segments where a locked item is, or lets it begin again.
async fn go_on(
    change: &Change,
    workspace: WorkspaceId,
    mut item: Item,
    plan: &Plan,
    unit: impl Fn(u32) -> u32 + Send,
) -> Result<()> {
    let jobs = if let Some(jobs) = item.progress.unfinished(plan, unit) {
        jobs
    } else {
        store::target::discard(change, workspace, item.id).await?;
        let (progress, first) = item.progress.begin_again(item.entry);
        item.progress = progress;
        let stage = Some(plan.stage(item.entry).to_owned());
        let begun = ItemProgress { item: item.clone(), stage, work: WorkDone::default() };
        store::run_item::store_progress(change, workspace, &[begun]).await?;
        vec![first]
    };
    let of = (item.run_id, item.priority());
    let jobs: Vec<_> = jobs.into_iter().map(|job| segment_job(plan, of, item.id, job.segment, job.units)).collect();
    outbox::enqueue_all(change, workspace, &jobs).await
}

/// Lets further files enter a run whose job for that is lost. `false`: it is not.
///
/// # Errors
/// When the database fails.
pub async fn repair_source(change: &Change, workspace: WorkspaceId, run: RunId) -> Result<bool> {
    let Some(row) = store::run::lock(change, workspace, run).await? else { return Ok(false) };
    if !row.state.is_open() || row.admitted || lost_job::has_job(change.tx(), run, &SOURCE_JOBS).await? {
        return Ok(false);
    }
    // Where the source is a connection, this job adds the one that lists it.
    outbox::enqueue(change, workspace, &AdmitItems { run }).await?;
    Ok(true)
}

/// Lets objects of a sync be fetched whose jobs are lost. Returns the number of batches.
///
/// # Errors
/// When the database fails.
pub async fn repair_fetches(change: &Change, workspace: WorkspaceId, run: RunId) -> Result<usize> {
    let Some(row) = store::run::lock(change, workspace, run).await? else { return Ok(0) };
    if !row.state.is_open() {
        return Ok(0);
    }
    let batches = lost_job::batches(change.tx(), workspace, row.pipeline_id, run).await?;
    let lost = batches.len();
    for (node, batch) in batches {
        outbox::enqueue(change, workspace, &FetchObjects { run, node, batch }).await?;
    }
    Ok(lost)
}

/// Ends a run for which nothing is left to do. `false`: something is, or it has ended.
///
/// # Errors
/// When the database fails.
pub async fn repair_end(change: &mut Change, workspace: WorkspaceId, run: RunId) -> Result<bool> {
    store::history::lock(change, workspace).await?;
    let Some(row) = store::run::lock(change, workspace, run).await? else { return Ok(false) };
    if !row.state.is_open() || !row.admitted || !lost_job::is_over(change.tx(), workspace, row.pipeline_id, run).await?
    {
        return Ok(false);
    }
    lost_job::close_counts(change, workspace, run).await?;
    let Some(state) = store::run::finish_run(change, workspace, run, None).await? else { return Ok(false) };
    ended_without_its_last_item(change, workspace, &row, state).await?;
    Ok(true)
}
