//! Transform: chunks to vectors.

use std::{collections::BTreeMap, sync::Arc};

use nvisy_shared::{id::SpaceId, pipeline::node::embed::Embed};

use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::{Elements, VectorElement},
        passages::{Embeddings, Passage, embed_passages},
    },
    runner::JobError,
};

impl Behaviour for Embed {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Chunks(chunks) = input else { return Err(wrong_input("embed")) };
        let passages: Vec<Passage> =
            chunks.iter().map(|chunk| Passage::new(chunk.input().into_owned(), chunk.tokens.into())).collect();
        let mut vectors: Vec<BTreeMap<SpaceId, Arc<[f32]>>> = vec![BTreeMap::new(); chunks.len()];
        let (mut tokens, mut tokens_saved) = (0, 0);
        let mut effects = Vec::new();
        for open in call.spaces {
            let Embeddings { vectors: computed, tokens: spent, rejected } =
                embed_passages(call.cx, call.workspace, open, &passages).await?;
            let space = open.served.id;
            if let Some(reason) = rejected.values().next() {
                // Found by words only; the others are not lost with them.
                let count = passages.iter().filter(|passage| rejected.contains_key(&passage.hash)).count();
                let message =
                    format!("the embedding provider rejected {count} of {} passages: {reason}", passages.len());
                effects.push(Effect::Warning { message });
            }
            tokens += spent;
            tokens_saved += passages.iter().map(|passage| passage.tokens).sum::<u64>().saturating_sub(spent);
            for (vectors, passage) in vectors.iter_mut().zip(&passages) {
                if let Some(vector) = computed.get(&passage.hash) {
                    vectors.insert(space, Arc::clone(vector));
                }
            }
        }
        let elements = chunks.into_iter().zip(vectors).map(|(chunk, vectors)| VectorElement { chunk, vectors });
        Ok(Output { tokens, tokens_saved, effects, ..Output::one(Elements::Vectors(elements.collect())) })
    }
}
