//! Objects of a page whose content came with the listing.

use std::collections::{BTreeMap, HashSet};

use nvisy_shared::{
    domain::failure::Failure,
    id::BatchId,
    store::{
        self,
        change::Change,
        source_fetch, source_object,
        sync_run::{self, SyncCounts},
    },
};

use super::{ListedPage, length};
use crate::{
    context::Context,
    runner::JobError,
    sync::{
        SyncedSource,
        checkpoint::ListingCheckpoint,
        deletions,
        fetching::{self, Fetched},
        ingest,
    },
};

impl ListedPage {
    /// The objects whose content is stored.
    pub(crate) fn inline(&self) -> &[Fetched] {
        &self.inline.fetched
    }

    /// Makes no file of an object whose content is stored: it fails.
    pub(crate) fn fail_inline(&mut self, external_id: String, failure: Failure) {
        self.inline.failed.push((external_id, failure));
    }

    /// Records one object before its page, which repeats it and then leaves it as it is.
    ///
    /// # Errors
    /// As of jobs.
    pub(crate) async fn record_alone(
        change: &mut Change,
        cx: &Context,
        of: &SyncedSource,
        object: &Fetched,
        listing: &mut ListingCheckpoint,
    ) -> Result<(), JobError> {
        let ids = vec![object.file.external_id.clone()];
        let known = source_object::see(change, of.workspace, &of.node, ids).await?;
        if known.values().any(|known| known.is_repeated) {
            return Ok(());
        }
        let replaced: Vec<_> = known.values().filter_map(|known| known.replaced).collect();
        deletions::lock(change, of, &replaced).await?;
        let mut counts = SyncCounts { seen: 1, deleted: length(&replaced), ..SyncCounts::default() };
        listing.seen += 1;
        ingest::ingest(change, cx, of, std::slice::from_ref(object), &mut counts).await?;
        deletions::apply_to_files(change, of, &of.node, replaced).await?;
        sync_run::add_counts(change, of.workspace, of.run.id, counts).await?;
        Ok(())
    }

    /// Makes files of the objects whose content came with the listing.
    pub(super) async fn write_inline(
        &self,
        change: &mut Change,
        cx: &Context,
        of: &SyncedSource,
        wanted: &HashSet<&str>,
        counts: &mut SyncCounts,
    ) -> Result<(), JobError> {
        let failed: Vec<_> = self.inline.failed.iter().filter(|(id, _)| wanted.contains(id.as_str())).collect();
        let failed_ids: HashSet<_> = failed.iter().map(|(id, _)| id.as_str()).collect();
        let is_stored = |id: &str| wanted.contains(id) && !failed_ids.contains(id);
        let fetched: Vec<_> =
            self.inline.fetched.iter().filter(|object| is_stored(&object.file.external_id)).cloned().collect();
        if !fetched.is_empty() {
            ingest::ingest(change, cx, of, &fetched, counts).await?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        // An incremental listing does not name them again: as listed, they can be fetched by a retry and by the next sync.
        let batch = BatchId::new();
        let listed = self.objects.iter().filter(|object| failed_ids.contains(object.external_id.as_str()));
        let listed = listed.map(|object| super::to_fetch(object, batch)).collect::<Result<Vec<_>, _>>()?;
        source_fetch::enqueue(change, of.workspace, &of.node, listed).await?;
        let failures: BTreeMap<_, _> = failed.into_iter().map(|(id, failure)| (id.as_str(), failure)).collect();
        counts.failed += i64::try_from(failures.len()).unwrap_or(i64::MAX);
        source_fetch::fail(change, of.workspace, &of.node, failures).await?;
        Ok(())
    }

    /// Removes stored content that no row refers to.
    pub(crate) async fn delete_unused(&self, cx: &Context, of: &SyncedSource) {
        let mut blobs: Vec<_> = self.inline.fetched.iter().map(|object| object.file.blob.id).collect();
        if blobs.is_empty() {
            return;
        }
        match store::file::registered_blobs(&cx.db, of.workspace, blobs.clone()).await {
            Ok(registered) => {
                let registered: HashSet<_> = registered.into_iter().collect();
                blobs.retain(|blob| !registered.contains(blob));
                fetching::delete_unused(cx, of, blobs).await;
            }
            // Garbage collection finds them.
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "blobs were not looked for"),
        }
    }
}
