//! `source.sync`: lists the objects of a connection page by page, and finds those that are new, changed or gone. Batches of objects
//! to be read are jobs of their own.

mod asking;
mod deleting;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nvisy_shared::{
    domain::{
        failure::{Failure, FailureCode},
        run::{RunState, RunTrigger},
    },
    entity,
    id::WorkspaceId,
    job::{AdmitItems, SyncSource},
    pipeline::node::source_connection::SyncMode,
    queue::outbox,
    runs,
    store::{
        self,
        change::Change,
        job::Claim,
        source_notification::{self, Notified},
        source_object,
    },
};
use serde_json::{Value, json};

use super::admit_items::{self, Checkpoint};
use crate::{
    connectors::{DynListing, DynSource, ListRequest, gate::Gate},
    context::Context,
    parked_listings::ListingKey,
    runner::{Handler, JobError, complete_in_tx, write_in_tx},
    sync::{SyncedSource, checkpoint::ListingCheckpoint, memory::NodeMemory, page::ListedPage, selection::Selection},
};

/// How long a job lists before it lets others have its slot.
const SLICE: Duration = Duration::from_secs(20);
/// Unfinished items and objects of a run above which nothing more is listed.
const MAX_OPEN: i32 = 1_000;
/// How long the listing waits while there are so many.
const WAIT_FOR_ITEMS: Duration = Duration::from_millis(500);
/// Objects of notifications that are looked up at once.
const LOOKED_UP_AT_ONCE: i64 = 200;
/// Calls by which they are looked up at the same time, unless the connection allows fewer.
const PARALLEL_LOOK_UPS: usize = 8;
/// Repetitions of objects after which a listing has no end.
const MAX_REPEATED: i64 = 10_000;

impl Handler for SyncSource {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let run = SyncedSource::run(cx, workspace, self.run).await?;
        if run.admitted {
            return Err(JobError::Obsolete);
        }
        let checkpoint: Checkpoint = admit_items::read(run.checkpoint.clone())?;
        let plan = cx.plans.get(&cx.db, workspace, run.pipeline_id, run.pipeline_version).await?;
        let entry = admit_items::entry(&plan.plan, checkpoint.source).ok_or(JobError::Obsolete)?;
        let of = SyncedSource::open(cx, workspace, run, |at, _| at == entry).await?;
        let wanted = if of.run.trigger == RunTrigger::Notification { PARALLEL_LOOK_UPS } else { 1 };
        let parallel = Gate::of(cx, &of.connection).begin_parallel(claim, wanted).await?;
        let mut sync = Sync { job: *self, cx, claim, of, checkpoint, parallel, began: Instant::now() };
        let listing = sync.listing();
        let is_listed = listing.is_done || listing.deleted_to.is_some() || listing.asked_to.is_some();
        if !is_listed && !sync.list().await? {
            return sync.go_on_later().await;
        }
        while !sync.ask().await? || !sync.delete().await? || !sync.delete_obsolete().await? {
            if sync.is_over() {
                return sync.go_on_later().await;
            }
        }
        sync.finish().await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        runs::abort(change, workspace, self.run, RunState::Failed, Some(failure), Some(claim.id)).await?;
        Ok(())
    }
}

/// A listing in progress.
struct Sync<'a> {
    job: SyncSource,
    cx: &'a Context,
    claim: &'a Claim,
    of: SyncedSource,
    checkpoint: Checkpoint,
    /// Calls that the job may make at the same time.
    parallel: usize,
    began: Instant,
}

impl Sync<'_> {
    fn listing(&self) -> ListingCheckpoint {
        self.checkpoint.listing.clone().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() > SLICE
    }

    fn rejected(&self, detail: &str) -> JobError {
        JobError::Fail(Failure::new(FailureCode::SourceRejected, detail).at(&self.of.node.node))
    }

    /// Lists until the end, or for the time of the job. Returns whether that was the end.
    async fn list(&mut self) -> Result<bool, JobError> {
        let source = self.of.source(self.cx).await?;
        let selection = Selection::new(&self.of.settings)?;
        if self.of.run.trigger == RunTrigger::Notification && !self.is_of_anything().await? {
            return self.look_up(&*source, &selection).await;
        }
        let mut listing = match self.cx.listings.take(&self.listing_key()) {
            Some(listing) => listing,
            None => self.open(&*source).await?,
        };
        let mut is_recorded = true;
        let listed = self.list_pages(&mut *listing, (&*source, &selection), &mut is_recorded).await;
        if is_recorded && listing.outlives_its_job() && !matches!(listed, Ok(true)) {
            self.cx.listings.keep(self.listing_key(), listing);
        }
        listed
    }

    fn listing_key(&self) -> ListingKey {
        let (run, node) = (self.of.run.id, self.of.node.node.clone());
        ListingKey { run, node, settings: self.of.connection.settings.clone(), at: self.listing().at }
    }

    /// Lists pages. `is_recorded`: the checkpoint says how far the listing is.
    async fn list_pages(
        &mut self,
        listing: &mut DynListing,
        (source, selection): (&DynSource, &Selection),
        is_recorded: &mut bool,
    ) -> Result<bool, JobError> {
        loop {
            self.wait_for_items().await?;
            let calls = Gate::of(self.cx, &self.of.connection).take(listing.max_calls()).await?;
            listing.allow_calls(calls);
            *is_recorded = false;
            let page = match listing.next().await {
                Ok(page) => page,
                Err(failure) => {
                    let failure = failure.redacted(&self.of.connection);
                    let error = Gate::of(self.cx, &self.of.connection).failed(failure).await?;
                    return Err(self.at_node(error));
                }
            };
            let is_last = page.checkpoint.is_none();
            let listed = ListedPage::new(self.cx, &self.of, page, selection);
            self.record(listed, source, &[]).await?;
            *is_recorded = true;
            if is_last {
                Gate::of(self.cx, &self.of.connection).succeeded().await?;
                return Ok(true);
            }
            if self.is_over() {
                return Ok(false);
            }
        }
    }

    /// Reads the objects that notifications have named, instead of a listing. Returns whether those were all.
    async fn look_up(&mut self, source: &DynSource, selection: &Selection) -> Result<bool, JobError> {
        let stream = Value::Object(self.of.settings.stream.clone());
        loop {
            self.wait_for_items().await?;
            let (listing, db) = (self.listing(), &self.cx.db);
            let after = listing.looked_up_to.as_deref();
            let mut named =
                source_notification::next(db, self.of.workspace, &self.of.node, after, LOOKED_UP_AT_ONCE).await?;
            if named.is_empty() {
                return Ok(true);
            }
            let gate = Gate::of(self.cx, &self.of.connection);
            let wanted = u32::try_from(source.look_up_calls(named.len())).unwrap_or(u32::MAX);
            let allowed = gate.take(wanted).await?;
            if allowed < wanted {
                // The others follow when the limit allows it.
                named.truncate(usize::try_from(allowed - 1).unwrap_or(usize::MAX).max(1));
            }
            let keys: Vec<_> = named.iter().map(|named| named.object_key.clone()).collect();
            let page = match source.look_up(&stream, &keys, self.parallel).await {
                Ok(page) => page,
                Err(failure) => {
                    let error = gate.failed(failure.redacted(&self.of.connection)).await?;
                    return Err(self.at_node(error));
                }
            };
            gate.succeeded().await?;
            let listed = ListedPage::new(self.cx, &self.of, page, selection);
            self.record(listed, source, &named).await?;
            if self.is_over() {
                return Ok(false);
            }
        }
    }

    /// Whether a notification has said only that something has changed: then the source is listed. Objects that others have named
    /// meanwhile are left to the next run, because a run takes an object once.
    async fn is_of_anything(&mut self) -> Result<bool, JobError> {
        let listing = self.listing();
        if listing.is_of_anything || listing.looked_up_to.is_some() {
            return Ok(listing.is_of_anything);
        }
        let (workspace, node) = (self.of.workspace, &self.of.node);
        let Some(answered) = source_notification::of_anything(&self.cx.db, workspace, node).await? else {
            return Ok(false);
        };
        let listing = ListingCheckpoint { is_of_anything: true, ..listing };
        let next = Checkpoint { listing: Some(listing), ..self.checkpoint.clone() };
        write_in_tx(self.cx, self.claim, || {
            let (of, next, answered) = (&self.of, json!(next), std::slice::from_ref(&answered));
            async move |change: &mut Change| {
                source_notification::done(change, of.workspace, &of.node, answered).await?;
                store::run::set_checkpoint(change, of.workspace, of.run.id, Some(next), false).await?;
                Ok(())
            }
        })
        .await?;
        self.checkpoint = next;
        Ok(true)
    }

    fn at_node(&self, error: JobError) -> JobError {
        match error {
            JobError::Fail(failure) => JobError::Fail(failure.at(&self.of.node.node)),
            other => other,
        }
    }

    async fn open(&self, source: &DynSource) -> Result<Box<DynListing>, JobError> {
        let cursor = match self.of.settings.mode {
            // The schedule finds deletions; of a notification a listing of what changed is enough.
            SyncMode::Full if !self.listing().is_of_anything => None,
            _ => source_object::cursor(&self.cx.db, self.of.workspace, &self.of.node).await?,
        };
        let stream = Value::Object(self.of.settings.stream.clone());
        let memory = Arc::new(NodeMemory::of(self.cx, &self.of));
        let request = ListRequest {
            stream,
            checkpoint: self.listing().at,
            cursor,
            memory: Some(memory),
            max_bytes: Some(self.of.max_bytes(self.cx)),
            max_objects: None,
        };
        match source.list(request).await {
            Ok(listing) => Ok(listing),
            Err(failure) => {
                let failure = failure.redacted(&self.of.connection);
                let error = Gate::of(self.cx, &self.of.connection).failed(failure).await?;
                Err(self.at_node(error))
            }
        }
    }

    /// Gives the job back while enough objects and items are in progress.
    async fn wait_for_items(&self) -> Result<(), JobError> {
        let run = self.find_run().await?;
        if run.items_open.saturating_add(run.objects_pending) < MAX_OPEN {
            return Ok(());
        }
        let what = "enough objects of the sync are in progress";
        Err(JobError::Snooze { what, delay: WAIT_FOR_ITEMS, source: None })
    }

    async fn find_run(&self) -> Result<entity::run::Model, JobError> {
        SyncedSource::run(self.cx, self.of.workspace, self.job.run).await
    }

    /// Records a page, with the checkpoint behind it, and the notifications that it answers. Objects whose content came with it, and
    /// that exceed a quota together, are stored one by one, so that those that fit are.
    async fn record(&mut self, page: ListedPage, source: &DynSource, answered: &[Notified]) -> Result<(), JobError> {
        if !page.has_storable_place() {
            return Err(self.rejected("the listing cannot go on behind a name with the character NUL: rename it"));
        }
        let mut page = page.with_inline_content(self.cx, &self.of, source).await?;
        match self.write(&page, answered).await {
            Err(JobError::Fail(failure)) if failure.code == FailureCode::QuotaExceeded => {
                self.write_one_by_one(&mut page).await?;
                self.write(&page, answered).await?;
            }
            written => written?,
        }
        page.delete_unused(self.cx, &self.of).await;
        let listing = self.listing();
        if listing.repeated > listing.seen + MAX_REPEATED {
            return Err(self.rejected("the source names the same objects again and again, so its listing has no end"));
        }
        Ok(())
    }

    async fn write(&mut self, page: &ListedPage, answered: &[Notified]) -> Result<(), JobError> {
        let (before, base) = (self.listing(), self.checkpoint.clone());
        let next = write_in_tx(self.cx, self.claim, || {
            let (of, cx) = (&self.of, self.cx);
            let (mut listing, base) = (before.clone(), base.clone());
            async move |change: &mut Change| {
                page.record(change, cx, of, &mut listing).await?;
                if let Some(last) = answered.last() {
                    listing.looked_up_to = Some(last.object_key.clone());
                    // Others may be behind them.
                    listing.is_done = false;
                    source_notification::done(change, of.workspace, &of.node, answered).await?;
                }
                let next = Checkpoint { listing: Some(listing), ..base };
                store::run::set_checkpoint(change, of.workspace, of.run.id, Some(json!(next)), false).await?;
                Ok(next)
            }
        })
        .await?;
        self.checkpoint = next;
        Ok(())
    }

    /// Records the objects of a page whose content is stored, each alone; those that exceed a quota fail.
    async fn write_one_by_one(&mut self, page: &mut ListedPage) -> Result<(), JobError> {
        for object in page.inline().to_vec() {
            let (before, base) = (self.listing(), self.checkpoint.clone());
            let written = write_in_tx(self.cx, self.claim, || {
                let (of, cx, object) = (&self.of, self.cx, &object);
                let (mut listing, base) = (before.clone(), base.clone());
                async move |change: &mut Change| {
                    ListedPage::record_alone(change, cx, of, object, &mut listing).await?;
                    let next = Checkpoint { listing: Some(listing), ..base };
                    store::run::set_checkpoint(change, of.workspace, of.run.id, Some(json!(next)), false).await?;
                    Ok(next)
                }
            })
            .await;
            match written {
                Ok(next) => self.checkpoint = next,
                Err(JobError::Fail(failure)) => page.fail_inline(object.file.external_id, failure),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Completes the job, and lets another one go on.
    async fn go_on_later(&self) -> Result<(), JobError> {
        complete_in_tx(self.cx, self.claim, || {
            async |change: &mut Change| {
                outbox::enqueue(change, self.of.workspace, &self.job).await?;
                Ok(())
            }
        })
        .await
    }

    /// Completes the job: the next source follows, or the run ends with its last object and item.
    async fn finish(&self) -> Result<(), JobError> {
        let next = self.checkpoint.next_source(&self.of.plan.plan).map(|next| json!(next));
        complete_in_tx(self.cx, self.claim, || {
            let next = next.clone();
            async move |change: &mut Change| {
                let (workspace, run): (WorkspaceId, _) = (self.of.workspace, self.job.run);
                let admitted = next.is_none();
                if admitted {
                    // Before the run, which may end now.
                    store::history::lock(change, workspace).await?;
                }
                store::run::set_checkpoint(change, workspace, run, next, admitted).await?;
                if !admitted {
                    outbox::enqueue(change, workspace, &AdmitItems { run }).await?;
                } else if let Some(state) = store::run::finish_run(change, workspace, run, None).await? {
                    runs::ended_without_items(change, workspace, run, self.of.node.pipeline, state).await?;
                }
                Ok(())
            }
        })
        .await
    }
}
