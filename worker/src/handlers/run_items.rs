//! `run.items`: the first segment of a run for several items. What an item costs besides its nodes (a job, its way through the queue,
//! a transaction) is then paid once for all.
//!
//! The items do not depend on each other: one that fails gets a job of its own, where it is tried again and reported. So do all others as
//! soon as one is slow, to be taken by other slots; and so do all if an attempt at this job ends without a result, for one of them may have
//! ended the worker.

use std::{
    collections::HashMap,
    error::Error,
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::{failure::Failure, file::FileState},
    id::{ItemId, VersionId},
    job::{RunItems, RunSegment},
    queue::outbox,
    store::{self, change::Change, job::Claim, processing::VersionFacts, run_item::Item},
    telemetry::metrics::metrics,
};
use serde_json::json;

use super::{
    conclusion::Conclusion,
    item::{self, Ended},
    run_segment::{OpenSegment, count},
};
use crate::{
    context::Context,
    pipeline::{contract::FileFacts, segment_output::SegmentOutput},
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
        let versions = items.iter().map(|item| item.version_id).collect();
        let files = store::processing::facts_of_all(&cx.db, claim.workspace_id, versions).await?;
        let files = files.into_iter().map(|facts| (facts.version_id, facts)).collect();
        let (outputs, alone) = (Vec::new(), Vec::new());
        ItemsInProgress { cx, claim, job: self, segment: &segment, waiting: items, files, outputs, alone }.run().await
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
    let jobs: Vec<_> = items.iter().map(|item| job.of_item(item.id, item.priority())).collect();
    outbox::enqueue_all(change, claim.workspace_id, &jobs).await?;
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
    /// The properties of the files, by version.
    files: HashMap<VersionId, VersionFacts>,
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
        let facts = self.files.get(&item.version_id).cloned().ok_or(JobError::Obsolete)?;
        let file = FileFacts::new(facts);
        let mut output = Box::pin(segment.compute(job, item, &file));
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
                outbox::enqueue_all(change, workspace, alone).await?;
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
                let (mut done, mut conclusion) = (Vec::with_capacity(outputs.len()), Conclusion::default());
                let mut added = 0;
                let ids: Vec<ItemId> = outputs.iter().map(|(job, _)| job.item).collect();
                let mut items = store::locks::lock_items(change, workspace, ids).await?;
                items.retain(|item| is_due(shared, item));
                for (at, (job, output)) in outputs.iter().enumerate() {
                    let Some(found) = items.iter().position(|item| item.id == job.item) else { continue };
                    let completed = segment.complete(change, job, items.swap_remove(found), output).await?;
                    let (applied, members) = conclusion.add(completed);
                    added += members;
                    done.push((at, applied));
                }
                if last {
                    outbox::enqueue_all(change, workspace, alone).await?;
                }
                let (going_on, mut processing): (Vec<_>, Vec<_>) =
                    conclusion.going_on().map(|item| (item.id, item.decides_file().then_some(item.version_id))).unzip();
                if !going_on.is_empty() {
                    store::run_item::start(change, workspace, going_on).await?;
                }
                let ended = conclusion.write(change, workspace).await?;
                // An item that began and ended here shows no state between.
                processing.extend(ended.iter().map(Ended::unsettled_version));
                let processing = processing.into_iter().flatten().collect();
                store::file::set_states(change, workspace, processing, FileState::Processing).await?;
                item::count(change, workspace, shared.run, added, &ended).await?;
                if !done.is_empty() {
                    store::run_item::start_run(change, workspace, shared.run).await?;
                }
                Ok((done, ended))
            }
        };
        let (done, ended) =
            if last { complete_in_tx(self.cx, claim, work).await? } else { write_in_tx(self.cx, claim, work).await? };
        for (at, applied) in done {
            count(&outputs[at].1, &applied, None);
        }
        for after in ended.iter().filter_map(|ended| ended.searchable_after) {
            metrics().file_searchable(after);
        }
        self.outputs.clear();
        Ok(())
    }
}
