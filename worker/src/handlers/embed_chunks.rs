//! `chunks.embed`: computes the vectors of chunks whose text was edited. Until it is done, only words find them.

use nvisy_shared::{
    domain::failure::Failure,
    id::{ChunkId, SpaceId, TargetId, WorkspaceId},
    job::EmbedChunks,
    queue::outbox,
    store::{
        self, Conn,
        change::Change,
        chunk::{EditedChunk, NewVector},
        collection::CollectionSpace,
        job::Claim,
    },
};

use crate::{
    context::Context,
    pipeline::{
        embedding_connection::Caller,
        passages::{Embeddings, Passage, embed_passages},
        spaces,
    },
    runner::{Handler, JobError, complete_in_tx},
};

impl Handler for EmbedChunks {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let chunks = store::chunk::edited(&cx.db, workspace, self.chunks.clone()).await?;
        if chunks.is_empty() {
            return Err(JobError::Obsolete);
        }
        let collection = collection_of(&cx.db, workspace, self).await?;
        let passages: Vec<Passage> = chunks.iter().map(passage).collect();
        let mut embedded: Vec<(SpaceId, Embeddings)> = Vec::new();
        for space in collection.written() {
            let open = spaces::open(cx, workspace, space, Caller::outside_runs(claim.clone())).await?;
            embedded.push((space, embed_passages(cx, workspace, &open, &passages).await?));
        }
        complete_in_tx(cx, claim, || {
            let (chunks, embedded) = (&chunks, &embedded);
            async move |change: &mut Change| write(change, workspace, self, chunks, embedded).await
        })
        .await
    }

    async fn give_up(&self, _: &mut Change, _: &Claim, _: &Failure) -> Result<(), JobError> {
        // The dead job says why, and words find the chunks.
        Ok(())
    }
}

/// The text of a chunk with its contextual prefix. The number of tokens is that of the text before.
fn passage(chunk: &EditedChunk) -> Passage {
    let text = store::chunk::input(chunk.prefix.as_deref(), &chunk.text).into_owned();
    Passage::new(text, u64::try_from(chunk.tokens).unwrap_or_default())
}

/// The collection of a job, with its spaces by now.
async fn collection_of(
    conn: &impl Conn,
    workspace: WorkspaceId,
    job: &EmbedChunks,
) -> Result<CollectionSpace, JobError> {
    let collections = store::collection::spaces(conn, workspace).await?;
    collections.into_iter().find(|collection| collection.id == job.collection).ok_or(JobError::Obsolete)
}

/// Writes the vectors of the chunks that have not changed meanwhile, in the spaces that the collection still has. Another job
/// computes those of the others.
async fn write(
    change: &Change,
    workspace: WorkspaceId,
    job: &EmbedChunks,
    chunks: &[EditedChunk],
    embedded: &[(SpaceId, Embeddings)],
) -> Result<(), JobError> {
    let now = store::chunk::lock_edited(change, workspace, chunks).await?;
    let (unchanged, changed): (Vec<_>, Vec<_>) = now.into_iter().partition(|chunk| chunks.contains(chunk));
    let collection = collection_of(change.tx(), workspace, job).await?;
    for (space, embeddings) in embedded.iter().filter(|(space, _)| collection.written().any(|of| of == *space)) {
        let vectors: Vec<(TargetId, NewVector)> = unchanged
            .iter()
            .filter_map(|chunk| {
                let hash = passage(chunk).hash;
                let vector = embeddings.vectors.get(&hash)?.to_vec();
                Some((chunk.target_id, NewVector { chunk: chunk.id, input_hash: hash, vector }))
            })
            .collect();
        store::chunk::set_edited_vectors(change, workspace, *space, vectors).await?;
    }
    // The change that has edited them again has found no vectors to replace.
    let changed: Vec<ChunkId> = changed.iter().map(|chunk| chunk.id).collect();
    for job in EmbedChunks::of(job.collection, &changed) {
        outbox::enqueue(change, workspace, &job).await?;
    }
    Ok(())
}
