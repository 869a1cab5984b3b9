//! Deletions behind a listing that named only what changed: the source is asked which of the other objects are gone.

use std::collections::HashSet;

use nvisy_shared::{
    id::FileId,
    store::{
        self,
        change::Change,
        source_object,
        sync_run::{self, SyncCounts},
    },
};
use serde_json::{Value, json};

use super::{Checkpoint, Sync, deleting::DELETED_AT_ONCE};
use crate::{
    connectors::{CallFailure, DynSource, ListRequest, gate::Gate},
    runner::{JobError, write_in_tx},
    sync::{checkpoint::ListingCheckpoint, deletions},
};

/// Objects that a source is asked about at once.
const ASKED_AT_ONCE: i64 = 2_000;

impl Sync<'_> {
    /// Asks for the time of the job which objects are gone, and handles those. Returns whether none are left to be asked about.
    pub(super) async fn ask(&mut self) -> Result<bool, JobError> {
        if self.listing().asked_to.is_none() {
            return Ok(true);
        }
        let source = self.of.source(self.cx).await?;
        while !self.ask_about_some(&*source).await? {
            if self.is_over() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn ask_about_some(&mut self, source: &DynSource) -> Result<bool, JobError> {
        let Some(after) = self.listing().asked_to else { return Ok(true) };
        let (of, cx) = (&self.of, self.cx);
        let known = source_object::unseen(&cx.db, of.workspace, &of.node, &after, ASKED_AT_ONCE).await?;
        let last = known.last().map(|(id, _)| id.clone());
        let ids: Vec<String> = known.iter().map(|(id, _)| id.clone()).collect();
        let gone = if ids.is_empty() { Vec::new() } else { self.find_gone(source, &ids).await? };
        let gone: HashSet<String> = gone.into_iter().collect();
        let is_none_there = gone.len() == ids.len() && !gone.is_empty();
        if is_none_there && self.listing().seen == 0 && !self.of.settings.allow_empty && self.is_empty(source).await? {
            let detail = "the source has no objects, though files are known: nothing was deleted; set `allowEmpty` if that is \
                          right";
            return Err(self.rejected(detail));
        }
        let gone: Vec<_> = known.into_iter().filter(|(id, _)| gone.contains(id)).collect();
        let mut parts = gone.chunks(DELETED_AT_ONCE.into()).peekable();
        loop {
            let part = parts.next().unwrap_or_default();
            let is_end = parts.peek().is_none();
            let to = if is_end { last.clone() } else { part.last().map(|(id, _)| id.clone()) };
            self.write_gone(to, part).await?;
            if is_end {
                return Ok(last.is_none());
            }
        }
    }

    async fn find_gone(&self, source: &DynSource, ids: &[String]) -> Result<Vec<String>, JobError> {
        let gate = Gate::of(self.cx, &self.of.connection);
        gate.take(1).await?;
        let stream = Value::Object(self.of.settings.stream.clone());
        self.succeeded(source.gone(&stream, ids).await).await
    }

    /// Whether the source has nothing, which rather shows a mistake.
    async fn is_empty(&self, source: &DynSource) -> Result<bool, JobError> {
        Gate::of(self.cx, &self.of.connection).take(1).await?;
        let stream = Value::Object(self.of.settings.stream.clone());
        let request = ListRequest { stream, max_objects: Some(1), ..ListRequest::default() };
        let page = match source.list(request).await {
            Ok(mut listing) => listing.next().await,
            Err(failure) => Err(failure),
        };
        let page = self.succeeded(page).await?;
        Ok(page.objects.is_empty() && page.failures.is_empty() && page.checkpoint.is_none())
    }

    /// The result of a call, or the error of the job.
    async fn succeeded<T>(&self, called: Result<T, CallFailure>) -> Result<T, JobError> {
        let gate = Gate::of(self.cx, &self.of.connection);
        match called {
            Ok(result) => {
                gate.succeeded().await?;
                Ok(result)
            }
            Err(failure) => Err(self.at_node(gate.failed(failure.redacted(&self.of.connection)).await?)),
        }
    }

    async fn write_gone(&mut self, to: Option<String>, gone: &[(String, Option<FileId>)]) -> Result<(), JobError> {
        let listing = ListingCheckpoint { is_done: to.is_none(), asked_to: to, ..self.listing() };
        let next = Checkpoint { listing: Some(listing), ..self.checkpoint.clone() };
        // Objects without a file are failures.
        let deleted = i64::try_from(gone.iter().filter(|(_, file)| file.is_some()).count()).unwrap_or(i64::MAX);
        write_in_tx(self.cx, self.claim, || {
            let (of, next) = (&self.of, json!(next));
            async move |change: &mut Change| {
                if !of.run.dry_run {
                    deletions::apply(change, of, &of.node, gone).await?;
                }
                let counts = SyncCounts { deleted, ..SyncCounts::default() };
                sync_run::add_counts(change, of.workspace, of.run.id, counts).await?;
                store::run::set_checkpoint(change, of.workspace, of.run.id, Some(next), false).await?;
                Ok(())
            }
        })
        .await?;
        self.checkpoint = next;
        Ok(())
    }
}
