//! Transform: chunks to vectors.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use nvisy_shared::{
    id::SpaceId,
    pipeline::node::embed::Embed,
    store::{self, chunk::input_hash},
};
use uuid::Uuid;

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{Elements, VectorElement},
        embedding::embed_in_parts,
        spaces::OpenSpace,
    },
    runner::JobError,
};

#[async_trait]
impl Behaviour for Embed {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Chunks(chunks) = input else { return Err(wrong_input("embed")) };
        let inputs: Vec<Input> = chunks
            .iter()
            .map(|chunk| {
                let text = chunk.input().into_owned();
                Input { hash: input_hash(&text), text, tokens: u64::from(chunk.tokens) }
            })
            .collect();
        let mut vectors: Vec<BTreeMap<SpaceId, Arc<[f32]>>> = vec![BTreeMap::new(); chunks.len()];
        let (mut tokens, mut tokens_saved) = (0, 0);
        let mut effects = Vec::new();
        for open in call.spaces {
            let Embeddings { vectors: computed, tokens: spent, rejected } = vectors_in(call, open, &inputs).await?;
            let space = open.served.id;
            if let Some(reason) = rejected.values().next() {
                // Found by words only; the others are not lost with them.
                let count = inputs.iter().filter(|input| rejected.contains_key(&input.hash)).count();
                let message = format!("the embedding provider rejected {count} of {} passages: {reason}", inputs.len());
                effects.push(Effect::Warning { message });
            }
            tokens += spent;
            tokens_saved += inputs.iter().map(|input| input.tokens).sum::<u64>().saturating_sub(spent);
            for (vectors, input) in vectors.iter_mut().zip(&inputs) {
                if let Some(vector) = computed.get(&input.hash) {
                    vectors.insert(space, Arc::clone(vector));
                }
            }
        }
        let elements = chunks.into_iter().zip(vectors).map(|(chunk, vectors)| VectorElement { chunk, vectors });
        Ok(Output { tokens, tokens_saved, effects, ..Output::one(Elements::Vectors(elements.collect())) })
    }
}

/// A text to embed.
struct Input {
    hash: Uuid,
    text: String,
    tokens: u64,
}

/// The vectors of inputs.
struct Embeddings {
    vectors: HashMap<Uuid, Arc<[f32]>>,
    /// The tokens that the model was given.
    tokens: u64,
    /// Why the provider rejects an input.
    rejected: HashMap<Uuid, String>,
}

/// The vectors of all inputs in a space. Those that the workspace has already are not
/// computed again, and equal inputs once.
async fn vectors_in(call: &Call<'_>, space: &OpenSpace, inputs: &[Input]) -> Result<Embeddings, JobError> {
    let hashes: Vec<Uuid> = inputs.iter().map(|input| input.hash).collect();
    let stored = store::chunk::find_vectors(&call.cx.db, call.workspace, space.served.id, &hashes).await?;
    let mut vectors: HashMap<Uuid, Arc<[f32]>> =
        stored.into_iter().map(|(hash, vector)| (hash, vector.into())).collect();
    let missing: BTreeMap<Uuid, &Input> =
        inputs.iter().filter(|input| !vectors.contains_key(&input.hash)).map(|input| (input.hash, input)).collect();
    let spent = missing.values().map(|input| input.tokens).sum();
    let (hashes, texts): (Vec<Uuid>, Vec<String>) =
        missing.into_iter().map(|(hash, input)| (hash, input.text.clone())).unzip();
    let mut rejected = HashMap::new();
    let computed = space.embed(texts.clone()).await?;
    for ((hash, text), vector) in hashes.into_iter().zip(texts).zip(computed) {
        let vector = match vector {
            Ok(vector) => Ok(vector),
            Err(reason) => embed_in_parts(space, &text).await?.ok_or(reason),
        };
        match vector {
            Ok(vector) => {
                vectors.insert(hash, vector.into());
            }
            Err(reason) => {
                rejected.insert(hash, reason);
            }
        }
    }
    Ok(Embeddings { vectors, tokens: spent, rejected })
}
