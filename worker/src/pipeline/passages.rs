//! Vectors of passages in a space: those that the workspace has already are taken, and equal passages are embedded once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use nvisy_shared::{
    id::WorkspaceId,
    store::{self, chunk::input_hash},
};
use uuid::Uuid;

use super::{
    embedding::{embed_in_parts, embed_long},
    spaces::OpenSpace,
};
use crate::{context::Context, runner::JobError};

/// A text to embed.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Identifies the text.
    pub hash: Uuid,
    /// The contextual prefix and the text of a chunk.
    pub text: String,
    /// The tokens of the chunk.
    pub tokens: u64,
}

impl Passage {
    /// A passage with its hash.
    #[must_use]
    pub fn new(text: String, tokens: u64) -> Self {
        Self { hash: input_hash(&text), text, tokens }
    }
}

/// The vectors of passages.
#[derive(Debug, Default)]
pub struct Embeddings {
    /// By the hashes of the passages.
    pub vectors: HashMap<Uuid, Arc<[f32]>>,
    /// The tokens that the model was given.
    pub tokens: u64,
    /// Why the provider rejects a passage.
    pub rejected: HashMap<Uuid, String>,
}

/// The vectors of all passages in a space. One that the model cannot read whole has the mean of the vectors of its parts.
///
/// # Errors
/// As [`OpenSpace::embed`].
pub async fn embed_passages(
    cx: &Context,
    workspace: WorkspaceId,
    space: &OpenSpace,
    passages: &[Passage],
) -> Result<Embeddings, JobError> {
    let hashes: Vec<Uuid> = passages.iter().map(|passage| passage.hash).collect();
    let stored = store::chunk::find_vectors(&cx.db, workspace, space.served.id, &hashes).await?;
    let mut found = Embeddings {
        vectors: stored.into_iter().map(|(hash, vector)| (hash, vector.into())).collect(),
        ..Embeddings::default()
    };
    let missing: BTreeMap<Uuid, &Passage> = passages
        .iter()
        .filter(|passage| !found.vectors.contains_key(&passage.hash))
        .map(|passage| (passage.hash, passage))
        .collect();
    found.tokens = missing.values().map(|passage| passage.tokens).sum();
    // Chunks that were cut for another model.
    let (tokenizer, max_tokens) = (space.embedder().tokenizer(), space.embedder().max_tokens());
    let (long, short): (Vec<&Passage>, Vec<&Passage>) =
        missing.into_values().partition(|passage| tokenizer.count(&passage.text) > max_tokens);
    let began = Instant::now();
    let computed = space.embed(short.iter().map(|passage| passage.text.clone()).collect()).await?;
    for (passage, vector) in short.into_iter().zip(computed) {
        let vector = match vector {
            Ok(vector) => Ok(vector),
            Err(reason) => embed_in_parts(space, &passage.text).await?.ok_or(reason),
        };
        found.add(passage, vector);
    }
    for passage in long {
        let vector = embed_long(space, &passage.text).await?;
        found.add(passage, vector);
    }
    cx.embedding_speeds.add(space.served.id, found.tokens, began.elapsed());
    Ok(found)
}

impl Embeddings {
    fn add(&mut self, passage: &Passage, vector: Result<Vec<f32>, String>) {
        match vector {
            Ok(vector) => {
                self.vectors.insert(passage.hash, vector.into());
            }
            Err(reason) => {
                self.rejected.insert(passage.hash, reason);
            }
        }
    }
}
