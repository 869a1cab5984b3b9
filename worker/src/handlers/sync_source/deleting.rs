//! The objects that a complete listing did not name, and those of sources that the definition has no more.

use nvisy_shared::{
    domain::run::RunTrigger,
    id::FileId,
    pipeline::node::source_connection::Deletions,
    store::{
        self,
        change::Change,
        source_object::{self, SourceNode},
        sync_run::{self, SyncCounts},
    },
};
use serde_json::json;

use super::{Checkpoint, Sync};
use crate::{
    runner::{JobError, write_in_tx},
    sync::{checkpoint::ListingCheckpoint, deletions},
};

/// Objects whose deletion is one transaction.
pub(super) const DELETED_AT_ONCE: u8 = 100;

impl Sync<'_> {
    /// Handles some of the objects that a complete listing did not name. Returns whether none are left.
    pub(super) async fn delete(&mut self) -> Result<bool, JobError> {
        let listing = self.listing();
        let Some(after) = listing.deleted_to.clone() else { return Ok(true) };
        let (workspace, run) = (self.of.workspace, self.find_run().await?);
        // Counting reads all objects.
        let known = match listing.seen == 0 || run.dry_run {
            true => source_object::count(&self.cx.db, workspace, &self.of.node).await?,
            false => 0,
        };
        if listing.seen == 0
            && known > 0
            && !self.of.settings.allow_empty
            && self.of.settings.deletions != Deletions::Ignore
        {
            let detail = format!(
                "the source has no objects, though {known} were there: nothing was deleted; set `allowEmpty` if that is right"
            );
            return Err(self.rejected(&detail));
        }
        if run.dry_run {
            let counts = SyncCounts { deleted: (known - listing.matched).max(0), ..SyncCounts::default() };
            self.write_deleted(None, &[], counts).await?;
            return Ok(true);
        }
        let gone = source_object::unseen(&self.cx.db, workspace, &self.of.node, &after, DELETED_AT_ONCE.into()).await?;
        let last = gone.last().map(|(id, _)| id.clone());
        let is_end = last.is_none();
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        self.write_deleted(last, &gone, SyncCounts { deleted, ..SyncCounts::default() }).await?;
        Ok(is_end)
    }

    async fn write_deleted(
        &mut self,
        last: Option<String>,
        gone: &[(String, Option<FileId>)],
        counts: SyncCounts,
    ) -> Result<(), JobError> {
        let listing = ListingCheckpoint { is_done: last.is_none(), deleted_to: last, ..self.listing() };
        let next = Checkpoint { listing: Some(listing), ..self.checkpoint.clone() };
        write_in_tx(self.cx, self.claim, || {
            let (of, next) = (&self.of, json!(next));
            async move |change: &mut Change| {
                deletions::apply(change, of, &of.node, gone).await?;
                sync_run::add_counts(change, of.workspace, of.run.id, counts).await?;
                store::run::set_checkpoint(change, of.workspace, of.run.id, Some(next), false).await?;
                Ok(())
            }
        })
        .await?;
        self.checkpoint = next;
        Ok(())
    }

    /// Handles some objects of sources that the definition has no more, when those that it has are listed. Returns whether none are
    /// left.
    pub(super) async fn delete_obsolete(&self) -> Result<bool, JobError> {
        let (of, cx) = (&self.of, self.cx);
        let sources = of.connected_sources();
        let is_last = sources.last() == Some(&of.node.node);
        // A notification lists nothing, and of an empty listing more may be missing than the objects.
        let is_listed =
            of.run.trigger != RunTrigger::Notification && (self.listing().seen > 0 || of.settings.allow_empty);
        // Another source that was not listed may have taken the objects over.
        if !is_last || !is_listed || !of.lists_all_sources() || of.run.dry_run {
            return Ok(true);
        }
        let (workspace, pipeline) = (of.workspace, of.node.pipeline);
        let obsolete = source_object::obsolete(&cx.db, workspace, pipeline, sources, DELETED_AT_ONCE.into()).await?;
        let Some((node, ..)) = obsolete.first() else { return Ok(true) };
        let node = SourceNode { node: node.clone(), ..of.node.clone() };
        let (mut gone, mut moved) = (Vec::new(), Vec::new());
        for (_, id, file, is_moved) in obsolete.into_iter().filter(|(of, ..)| *of == node.node) {
            if is_moved { moved.push(id) } else { gone.push((id, file)) }
        }
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        write_in_tx(cx, self.claim, || {
            let (node, gone, moved) = (&node, &gone, moved.clone());
            async move |change: &mut Change| {
                deletions::apply(change, of, node, gone).await?;
                source_object::forget(change, workspace, node, moved).await?;
                source_object::forget_cursor(change, workspace, node).await?;
                let counts = SyncCounts { deleted, ..SyncCounts::default() };
                sync_run::add_counts(change, workspace, of.run.id, counts).await?;
                Ok(())
            }
        })
        .await?;
        Ok(false)
    }
}
