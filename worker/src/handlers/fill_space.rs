//! `space.fill`: computes the vectors of a collection's second space, batch by batch. Search does not see them until the spaces are
//! exchanged, which happens in one transaction when both are complete.

use std::collections::HashSet;

use nvisy_shared::{
    domain::{event::EventType, failure::Failure, space::SecondSpaceState},
    id::{ChunkId, SpaceId, TargetId, WorkspaceId},
    job::FillSpace,
    queue::outbox,
    store::{
        self,
        change::Change,
        chunk::NewVector,
        collection::CollectionKey,
        job::Claim,
        second_space::{Advance, MissingChunk},
    },
};
use serde_json::json;

use super::completion::unit;
use crate::{
    context::Context,
    pipeline::{
        embedding_connection::Caller,
        passages::{Passage, embed_passages},
        spaces,
    },
    runner::{Handler, JobError, complete_in_tx},
};

/// The vectors of a batch, by target.
struct Batch {
    vectors: Vec<(TargetId, NewVector)>,
    advance: Advance,
}

impl Handler for FillSpace {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let fill = Fill { workspace: claim.workspace_id, job: *self };
        let workspace = fill.workspace;
        let second = store::second_space::find(&cx.db, workspace, self.collection).await?;
        let second = second
            .filter(|second| second.state == SecondSpaceState::Running && second.epoch == self.epoch)
            .ok_or(JobError::Obsolete)?;
        let collection = store::collection::find(&cx.db, workspace, &CollectionKey::Id(self.collection)).await?;
        let first = collection.and_then(|collection| collection.space_id).ok_or(JobError::Obsolete)?;
        let after = (second.after_target_id, second.after_ordinal);
        let limit = unit(cx, u32::MAX).into();
        let spaces = (first, second.space_id);
        let missing = store::second_space::missing(&cx.db, workspace, self.collection, spaces, after, limit).await?;
        let Some(last) = missing.last().map(|chunk| (chunk.target_id, chunk.ordinal)) else {
            return complete_in_tx(cx, claim, || async move |change: &mut Change| fill.end(change).await).await;
        };
        let batch = fill.embed(cx, claim, second.space_id, missing, last).await?;
        complete_in_tx(cx, claim, || {
            let batch = &batch;
            async move |change: &mut Change| fill.write(change, second.space_id, batch).await
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let fill = Fill { workspace: claim.workspace_id, job: *self };
        if store::second_space::fail(change, fill.workspace, self.collection, self.epoch, failure).await? {
            fill.emit(change, SecondSpaceState::Failed);
        }
        Ok(())
    }
}

/// The work of a job.
#[derive(Clone, Copy)]
struct Fill {
    workspace: WorkspaceId,
    job: FillSpace,
}

impl Fill {
    /// Computes the vectors of chunks; the workspace's own are taken where it has them.
    async fn embed(
        &self,
        cx: &Context,
        claim: &Claim,
        space: SpaceId,
        chunks: Vec<MissingChunk>,
        after: (TargetId, i32),
    ) -> Result<Batch, JobError> {
        let passages: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let text = store::chunk::input(chunk.prefix.as_deref(), &chunk.text).into_owned();
                Passage::new(text, u64::try_from(chunk.tokens).unwrap_or_default())
            })
            .collect();
        let open = spaces::open(cx, self.workspace, space, Caller::outside_runs(claim.clone())).await?;
        let embedded = embed_passages(cx, self.workspace, &open, &passages).await?;
        let vectors: Vec<_> = chunks
            .iter()
            .zip(&passages)
            .filter_map(|(chunk, passage)| {
                let vector = embedded.vectors.get(&passage.hash)?.to_vec();
                Some((chunk.target_id, NewVector { chunk: chunk.id, input_hash: passage.hash, vector }))
            })
            .collect();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let all: u64 = passages.iter().map(|passage| passage.tokens).sum();
        let tokens = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        let advance = Advance {
            epoch: self.job.epoch,
            after,
            done: count(chunks.len()),
            rejected: count(chunks.len() - vectors.len()),
            tokens: tokens(embedded.tokens),
            tokens_saved: tokens(all.saturating_sub(embedded.tokens)),
        };
        Ok(Batch { vectors, advance })
    }

    async fn write(&self, change: &mut Change, space: SpaceId, batch: &Batch) -> Result<(), JobError> {
        let workspace = self.workspace;
        // Files may have been deleted meanwhile, with their chunks.
        let chunks: Vec<ChunkId> = batch.vectors.iter().map(|(_, vector)| vector.chunk).collect();
        let existing: HashSet<_> =
            store::second_space::lock_chunks(change, workspace, chunks).await?.into_iter().collect();
        let vectors = batch.vectors.iter().filter(|(_, vector)| existing.contains(&vector.chunk));
        for part in vectors.collect::<Vec<_>>().chunk_by(|(one, _), (other, _)| one == other) {
            let target = part[0].0;
            let vectors = part.iter().map(|(_, vector)| vector.clone()).collect();
            store::chunk::insert_vectors(change, workspace, space, target, vectors).await?;
        }
        if !store::second_space::advance(change, workspace, self.job.collection, batch.advance).await? {
            return Err(JobError::Obsolete);
        }
        outbox::enqueue(change, workspace, &self.job).await?;
        Ok(())
    }

    /// The end of a pass over the missing chunks. Nothing becomes visible meanwhile, so that nothing is left out.
    async fn end(&self, change: &mut Change) -> Result<(), JobError> {
        let workspace = self.workspace;
        store::collection::lock(change, workspace, self.job.collection).await?;
        store::second_space::lock_usage(change, workspace, self.job.collection).await?;
        let second = store::second_space::find(change.tx(), workspace, self.job.collection).await?;
        let second = second
            .filter(|second| second.state == SecondSpaceState::Running && second.epoch == self.job.epoch)
            .ok_or(JobError::Obsolete)?;
        if !store::second_space::is_complete(change, workspace, self.job.collection).await? {
            // Results that were computed before the second space was there became visible meanwhile.
            if let Some(epoch) = store::second_space::begin(change, workspace, self.job.collection).await? {
                outbox::enqueue(change, workspace, &FillSpace { collection: self.job.collection, epoch }).await?;
            }
            return Ok(());
        }
        if second.exchange_requested {
            store::second_space::exchange(change, workspace, self.job.collection).await?;
        }
        store::second_space::set_ready(change, workspace, self.job.collection).await?;
        self.emit(change, SecondSpaceState::Ready);
        Ok(())
    }

    fn emit(&self, change: &mut Change, state: SecondSpaceState) {
        change.emit(EventType::CollectionUpdated, self.job.collection, json!({ "secondSpace": state.name() }));
    }
}
