//! `run.items`: the first segment of a run for several items. What an item costs besides its nodes (a job, its way through the queue,
//! a transaction) is then paid once for all.
//!
//! The items do not depend on each other: one that fails gets a job of its own, where it is tried again and reported. So do all others as
//! soon as one is slow, to be taken by other slots; and so do all if an attempt at this job ends without a result, for one of them may have
//! ended the worker.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::failure::Failure,
    id::ItemId,
    job::{RunItems, RunSegment},
    queue::outbox,
    store::{self, change::Change, job::Claim, run_item::Item},
};
use serde_json::json;

use super::{
    item,
    run_segment::{OpenSegment, count},
};
use crate::{
    context::Context,
    pipeline::segment_output::SegmentOutput,
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
};

/// How long an output waits for those of other items.
const MAX_WAIT: Duration = Duration::from_millis(200);
/// How long the job goes on with further items.
const MAX_DURATION: Duration = Duration::from_secs(1);

impl Handler for RunItems {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let mut items = store::run_item::find_all(&cx.db, claim.workspace_id, self.items.clone()).await?;
        items.retain(|item| is_due(self, item));
        let first = items.first().ok_or(JobError::Obsolete)?;
        let segment = if claim.attempts > 1 {
            None
        } else {
            let opened = OpenSegment::open(cx, claim, first, self.segment).await;
            // Otherwise each item gets a job of its own, whose wait its members see.
            if let Err(JobError::OtherSpace(space)) = opened
                && store::job_space::is_served(&cx.db, space, cx.lease()).await?
            {
                return Err(JobError::OtherSpace(space));
            }
            opened.inspect_err(|error| tracing::info!(error = error as &dyn Error, "items get jobs of their own")).ok()
        };
        let Some(segment) = segment else {
            let items = &items;
            return complete_in_tx(cx, claim, || {
                async move |change: &mut Change| divide(change, claim, self, items).await
            })
            .await;
        };
        items.reverse();
        let (outputs, alone) = (Vec::new(), Vec::new());
        ItemsInProgress { cx, claim, job: self, segment: &segment, waiting: items, outputs, alone }.run().await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, _: &Failure) -> Result<(), JobError> {
        let mut items = store::run_item::find_all(change.tx(), claim.workspace_id, self.items.clone()).await?;
        items.retain(|item| is_due(self, item));
        divide(change, claim, self, &items).await
    }
}

/// Whether no attempt has written the output of the item, nor given it a job of its own.
fn is_due(job: &RunItems, item: &Item) -> bool {
    let is_complete = item.progress.segments.get(&job.segment).is_some_and(|at| at.is_complete());
    item.state.is_open() && !is_complete && item.progress.generation == 0
}

/// Gives each item a job of its own.
async fn divide(change: &Change, claim: &Claim, job: &RunItems, items: &[Item]) -> Result<(), JobError> {
    for item in items {
        outbox::enqueue(change, claim.workspace_id, &job.of_item(item.id, item.priority())).await?;
    }
    Ok(())
}

/// The items of a job, which it runs one after the other.
struct ItemsInProgress<'a> {
    cx: &'a Context,
    claim: &'a Claim,
    job: &'a RunItems,
    segment: &'a OpenSegment<'a>,
    /// Items that have not begun, the first one last.
    waiting: Vec<Item>,
    /// Outputs that are not written yet.
    outputs: Vec<(RunSegment, SegmentOutput)>,
    /// Items that get a job of their own.
    alone: Vec<RunSegment>,
}

impl ItemsInProgress<'_> {
    async fn run(mut self) -> Result<(), JobError> {
        let began = Instant::now();
        let mut written = began;
        while let Some(item) = self.waiting.pop() {
            let job = self.job.of_item(item.id, item.priority());
            if began.elapsed() > MAX_DURATION {
                self.alone.push(job);
                continue;
            }
            match self.compute(&job, &item).await {
                Ok(output) => self.outputs.push((job, output)),
                Err(JobError::Obsolete) => {}
                Err(JobError::LeaseLost) => return Err(JobError::LeaseLost),
                Err(error) => {
                    tracing::info!(
                        item.id = %item.id,
                        error = &error as &dyn Error,
                        "an item failed and gets a job of its own"
                    );
                    self.alone.push(job);
                }
            }
            if written.elapsed() > MAX_WAIT {
                self.write(false).await?;
                written = Instant::now();
            }
        }
        self.write(true).await
    }

    /// Runs the nodes for an item. A slow one is shown as running, and keeps the job for itself.
    async fn compute(&mut self, job: &RunSegment, item: &Item) -> Result<SegmentOutput, JobError> {
        let segment = self.segment;
        let mut output = Box::pin(segment.compute(job, item));
        if let Ok(output) = tokio::time::timeout(MAX_WAIT, &mut output).await {
            return output;
        }
        self.write(false).await?;
        self.keep_only(job).await?;
        output.await
    }

    /// Gives all other items jobs of their own, which other slots take meanwhile.
    async fn keep_only(&mut self, job: &RunSegment) -> Result<(), JobError> {
        let waiting = self.waiting.drain(..).rev().map(|item| self.job.of_item(item.id, item.priority()));
        self.alone.extend(waiting);
        let (cx, claim, alone, plan) = (self.cx, self.claim, &self.alone, &self.segment.plan.plan);
        let workspace = claim.workspace_id;
        // Another attempt must not give them jobs again.
        let kept = &json!(RunItems { items: vec![job.item], ..self.job.clone() });
        write_in_tx(cx, claim, || {
            async move |change: &mut Change| {
                let item = item::open(change, workspace, job.item).await?;
                item::started(change, workspace, &item, plan.stage(job.segment)).await?;
                for job in alone {
                    outbox::enqueue(change, workspace, job).await?;
                }
                store::job::replace_payload(change, claim, kept.clone()).await?;
                Ok(())
            }
        })
        .await?;
        self.alone.clear();
        Ok(())
    }

    /// Writes the outputs so far; the last time, with the end of the job. If one of them cannot be written, all items get jobs of
    /// their own.
    async fn write(&mut self, last: bool) -> Result<(), JobError> {
        if self.outputs.is_empty() && !last {
            return Ok(());
        }
        match self.write_outputs(last).await {
            Err(JobError::Fail(failure)) => {
                tracing::info!(failure.code = ?failure.code, "an output cannot be written: {}", failure.detail);
                self.alone.extend(self.outputs.drain(..).map(|(job, _)| job));
                if last { self.write_outputs(true).await } else { Ok(()) }
            }
            result => result,
        }
    }

    async fn write_outputs(&mut self, last: bool) -> Result<(), JobError> {
        let (claim, shared, segment, outputs, alone) = (self.claim, self.job, self.segment, &self.outputs, &self.alone);
        let workspace = claim.workspace_id;
        let work = || {
            async move |change: &mut Change| {
                let (mut done, mut ended) = (Vec::with_capacity(outputs.len()), Vec::with_capacity(outputs.len()));
                let mut added = 0;
                let ids: Vec<ItemId> = outputs.iter().map(|(job, _)| job.item).collect();
                let mut items = store::locks::lock_items(change, workspace, ids).await?;
                items.retain(|item| is_due(shared, item));
                if !items.is_empty() {
                    let ids = items.iter().map(|item| item.id).collect();
                    store::run_item::start(change, workspace, ids).await?;
                }
                for (at, (job, output)) in outputs.iter().enumerate() {
                    let Some(found) = items.iter().position(|item| item.id == job.item) else { continue };
                    let item = items.swap_remove(found);
                    item::arrived(change, workspace, &item, segment.plan.plan.stage(job.segment)).await?;
                    let completed = segment.complete(change, job, item, output).await?;
                    let searchable_after = completed.ended.as_ref().and_then(|end| end.searchable_after);
                    done.push((at, completed.applied, searchable_after));
                    added += completed.added;
                    ended.extend(completed.ended);
                }
                if last {
                    for job in alone {
                        outbox::enqueue(change, workspace, job).await?;
                    }
                }
                item::count(change, workspace, shared.run, added, &ended).await?;
                if !done.is_empty() {
                    store::run_item::start_run(change, workspace, shared.run).await?;
                }
                Ok(done)
            }
        };
        let done =
            if last { complete_in_tx(self.cx, claim, work).await? } else { write_in_tx(self.cx, claim, work).await? };
        for (at, applied, searchable_after) in done {
            count(&outputs[at].1, &applied, searchable_after);
        }
        self.outputs.clear();
        Ok(())
    }
}
