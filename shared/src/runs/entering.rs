//! The first jobs of items that enter a run together.

use super::segment_job;
use crate::{
    domain::{job::Lane, run::RunPriority},
    entity::run,
    id::{ItemId, WorkspaceId},
    job::RunItems,
    pipeline::plan::Plan,
    queue::outbox,
    store::{Result, change::Change},
};

/// Items that share a job, at most.
const MAX_ITEMS: usize = 32;

/// Adds the jobs of items at the segment `entry`, where they enter. They share jobs if they may: at least `min_jobs`, so that as
/// many slots of workers take part.
///
/// # Errors
/// When the database fails.
pub async fn enqueue_entering(
    change: &Change,
    workspace: WorkspaceId,
    run: &run::Model,
    (plan, entry): (&Plan, usize),
    items: &[ItemId],
    min_jobs: usize,
) -> Result<()> {
    let size = if may_share_jobs(run, plan, entry) { items.len().div_ceil(min_jobs).clamp(1, MAX_ITEMS) } else { 1 };
    let priority = RunPriority::of(run.trigger, run.low_priority);
    let (mut alone, mut shared) = (Vec::new(), Vec::new());
    for items in items.chunks(size) {
        if let [item] = *items {
            alone.push(segment_job(plan, (run.id, priority), item, entry, None));
        } else {
            shared.push(RunItems { run: run.id, items: items.to_vec(), segment: entry, priority });
        }
    }
    outbox::enqueue_all(change, workspace, &shared).await?;
    outbox::enqueue_all(change, workspace, &alone).await
}

/// Whether several items may share a job for their first segment: calls of services take their time, and limits count jobs.
fn may_share_jobs(run: &run::Model, plan: &Plan, entry: usize) -> bool {
    let segment = &plan.segments[entry];
    let limited =
        segment.steps.iter().any(|step| step.options.concurrency.is_some() || step.options.rate_limit.is_some());
    segment.lane == Lane::Extract && !limited && !run.preview
}
