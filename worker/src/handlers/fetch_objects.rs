//! `source.fetch`: reads a batch of objects, and makes them files and items of the run.

use std::collections::HashSet;

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::BlobId,
    job::FetchObjects,
    queue::outbox,
    runs,
    store::{
        self,
        change::Change,
        job::Claim,
        source_fetch,
        sync_run::{self, SyncCounts},
    },
};

use crate::{
    connectors::{ListedObject, gate::Gate},
    context::Context,
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
    sync::{
        SyncedSource,
        fetching::{self, FetchResult, Fetched, Stop},
        ingest,
    },
};

impl Handler for FetchObjects {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let run = SyncedSource::run(cx, workspace, self.run).await?;
        let mut objects = Vec::new();
        for pending in source_fetch::batch(&cx.db, self.batch).await? {
            let object: ListedObject = serde_json::from_value(pending.pending)
                .map_err(JobError::retry("an object of a batch cannot be read"))?;
            objects.push(object);
        }
        let of = SyncedSource::open(cx, workspace, run, |_, node| node == self.node).await?;
        let gate = Gate::of(cx, &of.connection);
        let parallel = gate.begin_parallel(claim, fetching::PARALLEL_READS.min(objects.len())).await?;
        let wanted = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        let allowed = if wanted == 0 { 0 } else { gate.take(wanted).await? };
        let is_cut = allowed < wanted;
        objects.truncate(usize::try_from(allowed).unwrap_or(usize::MAX));
        let source = of.source(cx).await?;
        let mut result = fetching::fetch(cx, &of, &*source, objects, parallel).await?;
        let stopped = result.stopped.take();
        if stopped.is_none() && !result.fetched.is_empty() {
            gate.succeeded().await?;
        }
        Batch { job: self, cx, claim, of: &of }.store(&result, stopped.is_some(), is_cut).await?;
        match stopped {
            None => Ok(()),
            Some(Stop::Call(failure)) => Err(gate.failed(failure).await?),
            Some(Stop::Job(error)) => Err(error),
        }
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let Some(run) = store::run::find(change.tx(), workspace, self.run).await? else { return Ok(()) };
        if !run.state.is_open() {
            return Ok(());
        }
        let failed = source_fetch::fail_batch(change, workspace, self.batch, failure).await?;
        let pending = i32::try_from(failed).unwrap_or(i32::MAX);
        let counts = SyncCounts { pending: -pending, failed: pending.into(), ..SyncCounts::default() };
        // Before the run, which may end now.
        store::history::lock(change, workspace).await?;
        sync_run::add_counts(change, workspace, self.run, counts).await?;
        if let Some(state) = store::run::finish_run(change, workspace, self.run, None).await? {
            runs::ended_without_items(change, workspace, self.run, run.pipeline_id, state).await?;
        }
        Ok(())
    }
}

/// A batch that was read.
struct Batch<'a> {
    job: &'a FetchObjects,
    cx: &'a Context,
    claim: &'a Claim,
    of: &'a SyncedSource,
}

/// The end of a batch.
#[derive(Clone, Copy)]
struct End<'a> {
    /// Objects that cannot be read.
    failed: &'a [(String, Failure)],
    /// Whether the job waits, and reads the rest of the batch then.
    is_stopped: bool,
    /// Whether another job with the same batch reads the rest.
    is_cut: bool,
}

impl Batch<'_> {
    /// Stores what was fetched. Objects that exceed a quota together are stored one by one, so that those that fit are.
    async fn store(&self, result: &FetchResult, is_stopped: bool, is_cut: bool) -> Result<(), JobError> {
        let (fetched, failed) = (&result.fetched, result.failed.as_slice());
        let kept = match self.write(fetched, Some(End { failed, is_stopped, is_cut })).await {
            Err(JobError::Fail(failure)) if failure.code == FailureCode::QuotaExceeded => {
                let (mut kept, mut failed) = (HashSet::new(), failed.to_vec());
                for object in fetched {
                    match self.write(std::slice::from_ref(object), None).await {
                        Ok(used) => kept.extend(used),
                        Err(JobError::Fail(failure)) => failed.push((object.file.external_id.clone(), failure)),
                        Err(error) => return Err(error),
                    }
                }
                self.write(&[], Some(End { failed: &failed, is_stopped, is_cut })).await?;
                kept
            }
            kept => kept?,
        };
        let unused = fetched.iter().map(|object| object.file.blob.id).filter(|blob| !kept.contains(blob));
        fetching::delete_unused(self.cx, self.of, unused.collect()).await;
        Ok(())
    }

    /// Makes files and items of objects, in one transaction; with the last ones, records failures, and ends the run if nothing is left.
    /// Returns the blobs that are used.
    async fn write(&self, fetched: &[Fetched], end: Option<End<'_>>) -> Result<HashSet<BlobId>, JobError> {
        let work = || async move |change: &mut Change| self.write_in(change, fetched, end).await;
        match end {
            Some(End { is_stopped: false, .. }) => complete_in_tx(self.cx, self.claim, work).await,
            _ => write_in_tx(self.cx, self.claim, work).await,
        }
    }

    async fn write_in(
        &self,
        change: &mut Change,
        fetched: &[Fetched],
        end: Option<End<'_>>,
    ) -> Result<HashSet<BlobId>, JobError> {
        let (of, run) = (self.of, self.of.run.id);
        let failed = end.map_or(&[][..], |end| end.failed);
        let mut counts = SyncCounts { failed: length(failed.len()).into(), ..SyncCounts::default() };
        counts.pending = -length(fetched.len() + failed.len());
        let used = match fetched {
            [] => HashSet::new(),
            _ => ingest::ingest(change, self.cx, of, fetched, &mut counts).await?,
        };
        let failures = failed.iter().map(|(id, failure)| (id.as_str(), failure)).collect();
        source_fetch::fail(change, of.workspace, &of.node, failures).await?;
        if end.is_some_and(|end| end.is_cut && !end.is_stopped) {
            outbox::enqueue(change, of.workspace, self.job).await?;
        }
        // Before the run, which may end now.
        store::history::lock(change, of.workspace).await?;
        sync_run::add_counts(change, of.workspace, run, counts).await?;
        if end.is_some()
            && let Some(state) = store::run::finish_run(change, of.workspace, run, None).await?
        {
            runs::ended_without_items(change, of.workspace, run, of.node.pipeline, state).await?;
        }
        Ok(used)
    }
}

fn length(objects: usize) -> i32 {
    i32::try_from(objects).unwrap_or(i32::MAX)
}
