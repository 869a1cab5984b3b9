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

use super::embedding;
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::{Elements, VectorElement},
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
        for &space in call.spaces {
            let (computed, spent) = vectors_in(call, space, &inputs).await?;
            tokens += spent;
            tokens_saved += inputs.iter().map(|input| input.tokens).sum::<u64>().saturating_sub(spent);
            for (vectors, input) in vectors.iter_mut().zip(&inputs) {
                if let Some(vector) = computed.get(&input.hash) {
                    vectors.insert(space, Arc::clone(vector));
                }
            }
        }
        let elements = chunks.into_iter().zip(vectors).map(|(chunk, vectors)| VectorElement { chunk, vectors });
        Ok(Output { tokens, tokens_saved, ..Output::one(Elements::Vectors(elements.collect())) })
    }
}

/// A text to embed.
struct Input {
    hash: Uuid,
    text: String,
    tokens: u64,
}

/// The vectors of inputs.
type Vectors = HashMap<Uuid, Arc<[f32]>>;

/// The vectors of all inputs in a space, and the tokens that the model was given. Those that the workspace has already are not
/// computed again, and equal inputs once.
async fn vectors_in(call: &Call<'_>, space: SpaceId, inputs: &[Input]) -> Result<(Vectors, u64), JobError> {
    let embedder = &call.space(space)?.embedder;
    let hashes: Vec<Uuid> = inputs.iter().map(|input| input.hash).collect();
    let stored = store::chunk::find_vectors(&call.cx.db, call.workspace, space, &hashes).await?;
    let mut vectors: HashMap<Uuid, Arc<[f32]>> =
        stored.into_iter().map(|(hash, vector)| (hash, vector.into())).collect();
    let missing: BTreeMap<Uuid, &Input> =
        inputs.iter().filter(|input| !vectors.contains_key(&input.hash)).map(|input| (input.hash, input)).collect();
    let spent = missing.values().map(|input| input.tokens).sum();
    let (hashes, texts): (Vec<Uuid>, Vec<String>) =
        missing.into_iter().map(|(hash, input)| (hash, input.text.clone())).unzip();
    let computed = embedding::embed(embedder, texts).await?;
    vectors.extend(hashes.into_iter().zip(computed).map(|(hash, vector)| (hash, vector.into())));
    Ok((vectors, spent))
}
