//! A page of a listing: which of its objects are new, changed, or cannot be read.

mod inline;
mod storable;

use std::collections::{BTreeMap, HashSet};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    id::BatchId,
    job::FetchObjects,
    queue::outbox,
    store::{
        change::Change,
        source_fetch::{self, ToFetch},
        source_object::{self, KnownObject},
        sync_run::{self, SyncCounts},
    },
};
use serde_json::Value;

use super::{
    SyncedSource,
    checkpoint::ListingCheckpoint,
    deletions,
    fetching::{self, FetchResult, Stop},
    selection::Selection,
};
use crate::{
    connectors::{DynSource, ListedObject, ObjectFailure, Page, gate::Gate},
    context::Context,
    runner::JobError,
};

/// Objects that one job reads.
const BATCH_OBJECTS: usize = 64;
/// Bytes that one job reads, unless an object alone has more.
const BATCH_BYTES: u64 = 32 << 20;
/// The assumed size of an object whose listing has none.
const UNKNOWN_BYTES: u64 = 1 << 20;

/// A page without what is not wanted.
pub(crate) struct ListedPage {
    objects: Vec<ListedObject>,
    failures: Vec<ObjectFailure>,
    deleted: Vec<String>,
    checkpoint: Option<Value>,
    cursor: Option<Value>,
    complete: bool,
    /// Objects whose content came with the listing, stored.
    inline: FetchResult,
}

impl ListedPage {
    /// Leaves out what the settings of the source do not take, and what a page names twice.
    pub(crate) fn new(cx: &Context, of: &SyncedSource, page: Page, selection: &Selection) -> Self {
        let Page { objects, failures, deleted, checkpoint, cursor, complete } = page;
        let limit = of.max_bytes(cx);
        let mut ids = HashSet::new();
        let mut listed = Self {
            objects: Vec::new(),
            failures: Vec::new(),
            deleted: deleted.into_iter().filter(|id| !id.contains('\0')).collect(),
            checkpoint,
            cursor,
            complete,
            inline: FetchResult::default(),
        };
        for object in objects.into_iter().map(storable::object) {
            if !selection.takes(&object) || !ids.insert(object.external_id.clone()) {
                continue;
            }
            match problem(&object, limit) {
                None => listed.objects.push(object),
                Some(failure) => {
                    let external_id = storable::printable(&object.external_id);
                    if external_id == object.external_id || ids.insert(external_id.clone()) {
                        listed.failures.push(ObjectFailure { external_id, name: object.name, failure });
                    }
                }
            }
        }
        let failures = failures.into_iter().map(storable::failure);
        listed.failures.extend(failures.filter(|failure| ids.insert(failure.external_id.clone())));
        listed
    }

    /// Whether the database takes the place behind the page.
    pub(crate) fn has_storable_place(&self) -> bool {
        [&self.checkpoint, &self.cursor].into_iter().flatten().all(|place| !storable::has_nul(place))
    }

    /// Stores the content that came with the listing, of objects that are new or changed.
    ///
    /// # Errors
    /// When the object store does not take it.
    pub(crate) async fn with_inline_content(
        mut self,
        cx: &Context,
        of: &SyncedSource,
        source: &DynSource,
    ) -> Result<Self, JobError> {
        if of.run.dry_run || self.objects.iter().all(|object| object.content.is_none()) {
            return Ok(self);
        }
        let known = source_object::known(&cx.db, of.workspace, &of.node, self.ids()).await?;
        let is_wanted =
            |object: &&ListedObject| object.content.is_some() && !is_unchanged(object, known.get(&object.external_id));
        let wanted = self.objects.iter().filter(is_wanted).cloned().collect();
        let mut result = fetching::fetch(cx, of, source, wanted, fetching::PARALLEL_READS).await?;
        match result.stopped.take() {
            None => self.inline = result,
            Some(Stop::Call(failure)) => return Err(Gate::of(cx, &of.connection).failed(failure).await?),
            Some(Stop::Job(error)) => return Err(error),
        }
        Ok(self)
    }

    fn ids(&self) -> Vec<String> {
        self.objects.iter().map(|object| object.external_id.clone()).collect()
    }

    /// Writes what the page says, and how far the listing is.
    ///
    /// # Errors
    /// As of jobs.
    pub(crate) async fn record(
        &self,
        change: &mut Change,
        cx: &Context,
        of: &SyncedSource,
        listing: &mut ListingCheckpoint,
    ) -> Result<(), JobError> {
        let mut counts = SyncCounts::default();
        if of.run.dry_run {
            self.count(change, of, listing, &mut counts).await?;
        } else {
            self.write(change, cx, of, listing, &mut counts).await?;
        }
        listing.at = self.checkpoint.clone();
        if self.checkpoint.is_none() {
            listing.deleted_to = self.complete.then(String::new);
            listing.asked_to = (!self.complete && of.asks_for_gone()).then(String::new);
            listing.is_done = listing.deleted_to.is_none() && listing.asked_to.is_none();
            if let Some(cursor) = self.cursor.as_ref().filter(|_| !of.run.dry_run) {
                source_object::set_cursor(change, of.workspace, &of.node, cursor).await?;
            }
        }
        sync_run::add_counts(change, of.workspace, of.run.id, counts).await?;
        Ok(())
    }

    /// What a dry run counts.
    async fn count(
        &self,
        change: &mut Change,
        of: &SyncedSource,
        listing: &mut ListingCheckpoint,
        counts: &mut SyncCounts,
    ) -> Result<(), JobError> {
        let mut ids = self.ids();
        ids.extend(self.failures.iter().map(|failure| failure.external_id.clone()));
        let known = source_object::known(change.tx(), of.workspace, &of.node, ids).await?;
        for object in &self.objects {
            let known = known.get(&object.external_id);
            match known {
                _ if is_unchanged(object, known) => counts.unchanged += 1,
                Some(known) if known.has_file => counts.changed += 1,
                _ => counts.new += 1,
            }
        }
        let matched = known.values().filter(|known| known.has_file).count();
        listing.matched += i64::try_from(matched).unwrap_or(i64::MAX);
        counts.failed += length(&self.failures);
        counts.seen += length(&self.objects) + length(&self.failures);
        listing.seen += counts.seen;
        counts.deleted += length(&self.deleted);
        Ok(())
    }

    async fn write(
        &self,
        change: &mut Change,
        cx: &Context,
        of: &SyncedSource,
        listing: &mut ListingCheckpoint,
        counts: &mut SyncCounts,
    ) -> Result<(), JobError> {
        let mut ids = self.ids();
        ids.extend(self.failures.iter().map(|failure| failure.external_id.clone()));
        let named = length(&ids);
        let known = source_object::see(change, of.workspace, &of.node, ids).await?;
        let replaced: Vec<_> = known.values().filter_map(|known| known.replaced).collect();
        deletions::lock(change, of, &replaced).await?;
        let is_repeated = |id: &str| known.get(id).is_some_and(|known| known.is_repeated);
        let repeated = i64::try_from(known.values().filter(|known| known.is_repeated).count()).unwrap_or(i64::MAX);
        listing.repeated += repeated;
        counts.seen += named - repeated;
        listing.seen += counts.seen;

        let failures = self.failures.iter().filter(|failed| !is_repeated(&failed.external_id));
        let failures: BTreeMap<_, _> = failures.map(|failed| (failed.external_id.as_str(), &failed.failure)).collect();
        counts.failed += i64::try_from(failures.len()).unwrap_or(i64::MAX);
        source_fetch::fail(change, of.workspace, &of.node, failures).await?;
        let (mut to_fetch, mut inline) = (Vec::new(), HashSet::new());
        for object in self.objects.iter().filter(|object| !is_repeated(&object.external_id)) {
            match known.get(&object.external_id) {
                known if is_unchanged(object, known) => counts.unchanged += 1,
                _ if object.content.is_some() => {
                    inline.insert(object.external_id.as_str());
                }
                _ => to_fetch.push(object),
            }
        }
        self.write_inline(change, cx, of, &inline, counts).await?;
        self.enqueue(change, of, &to_fetch).await?;
        counts.pending += i32::try_from(to_fetch.len()).unwrap_or(i32::MAX);
        let kept = self.objects.iter().filter_map(|object| Some((object.external_id.clone(), object.kept.clone()?)));
        source_object::keep(change, of.workspace, &of.node, kept.collect()).await?;
        if self.checkpoint.is_none() && !self.complete {
            counts.pending += adopt_leftovers(change, of).await?;
        }
        counts.deleted += length(&replaced);
        deletions::apply_to_files(change, of, &of.node, replaced).await?;
        if !self.deleted.is_empty() {
            let gone = source_object::named(change.tx(), of.workspace, &of.node, self.deleted.clone()).await?;
            deletions::apply(change, of, &of.node, &gone).await?;
            counts.deleted += length(&gone);
        }
        Ok(())
    }

    /// Adds the jobs that read objects.
    async fn enqueue(&self, change: &mut Change, of: &SyncedSource, objects: &[&ListedObject]) -> Result<(), JobError> {
        let (mut batch, mut count, mut bytes) = (BatchId::new(), 0, 0);
        let mut batches = vec![batch];
        let mut rows = Vec::with_capacity(objects.len());
        for object in objects {
            let size = object.bytes.unwrap_or(UNKNOWN_BYTES);
            if count > 0 && (count >= BATCH_OBJECTS || bytes + size > BATCH_BYTES) {
                (batch, count, bytes) = (BatchId::new(), 0, 0);
                batches.push(batch);
            }
            (count, bytes) = (count + 1, bytes + size);
            rows.push(to_fetch(object, batch)?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        source_fetch::enqueue(change, of.workspace, &of.node, rows).await?;
        let job = |batch| FetchObjects { run: of.run.id, node: of.node.node.clone(), batch };
        let jobs: Vec<_> = batches.into_iter().map(job).collect();
        outbox::enqueue_all(change, of.workspace, &jobs).await?;
        Ok(())
    }
}

/// An object to be read with a batch.
fn to_fetch(object: &ListedObject, batch: BatchId) -> Result<ToFetch, JobError> {
    let listed =
        serde_json::to_string(object).map_err(JobError::retry("an object of the listing cannot be written"))?;
    Ok(ToFetch { external_id: object.external_id.clone(), listed, batch })
}

/// An incremental listing does not name objects again that could not be read: they are read once more.
async fn adopt_leftovers(change: &mut Change, of: &SyncedSource) -> Result<i32, JobError> {
    let limit = i64::try_from(BATCH_OBJECTS).unwrap_or(i64::MAX);
    let mut adopted = 0;
    loop {
        let batch = BatchId::new();
        let count = source_fetch::adopt(change, of.workspace, &of.node, batch, limit).await?;
        if count == 0 {
            return Ok(adopted);
        }
        adopted += i32::try_from(count).unwrap_or(i32::MAX);
        let job = FetchObjects { run: of.run.id, node: of.node.node.clone(), batch };
        outbox::enqueue(change, of.workspace, &job).await?;
    }
}

fn is_unchanged(object: &ListedObject, known: Option<&KnownObject>) -> bool {
    known.is_some_and(|known| known.has_file && !known.has_failed && known.revision.as_ref() == Some(&object.revision))
}

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Why an object is not read.
fn problem(object: &ListedObject, limit: u64) -> Option<Failure> {
    storable::problem(object).or_else(|| {
        let bytes = object.bytes.filter(|bytes| *bytes > limit)?;
        let detail = format!("the object has {bytes} bytes, more than the limit of {limit} of the source");
        Some(Failure::new(FailureCode::TooLarge, detail))
    })
}
