//! Transform: documents to chunks of neighbouring sentences that are about the same.

use std::{ops::Range, sync::Arc};

use nvisy_extract::Document;
use nvisy_shared::pipeline::node::chunk_similarity::ChunkSimilarity;

use super::chunking::{self, Chunks, compute};
use crate::{
    chunk::{SimilarityLimits, Stretches},
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

/// Sentences whose vectors are computed, and held in memory, together.
const BATCH_TEXTS: usize = 256;

impl Behaviour for ChunkSimilarity {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let model = chunking::model(call, self.contextual_prefix);
        let limits = limits(self, model.max_tokens);
        let mut chunks = Chunks::default();
        for element in chunking::documents("chunk.similarity", input)? {
            let (document, divided_model) = (Arc::clone(&element.document), model.clone());
            let (stretches, compared) = compute(move || {
                let stretches = Stretches::new(&document, &divided_model);
                let compared: Vec<_> = stretches.compared(limits.max_tokens).collect();
                (stretches, compared)
            })
            .await?;
            let similarities = similarities(call, &element.document, &compared).await?;
            let (document, model) = (Arc::clone(&element.document), model.clone());
            let pieces = compute(move || stretches.pieces(&document, &model, &similarities, limits)).await?;
            chunks.add(&element, pieces);
        }
        chunks.output()
    }
}

pub(super) fn limits(settings: &ChunkSimilarity, model_tokens: usize) -> SimilarityLimits {
    let max_tokens = settings.max_tokens.map_or(model_tokens, |tokens| model_tokens.min(tokens as usize));
    SimilarityLimits { max_tokens, threshold: settings.threshold }
}

/// The similarity of each stretch and its next one, where both are compared.
async fn similarities(
    call: &Call<'_>,
    document: &Document,
    compared: &[Option<Range<usize>>],
) -> Result<Vec<Option<f64>>, JobError> {
    let mut similarities = Vec::with_capacity(compared.len());
    let mut previous: Option<Vec<f32>> = None;
    let model = call.model();
    for batch in compared.chunks(BATCH_TEXTS) {
        let texts = batch.iter().flatten().map(|range| document.text[range.clone()].to_owned()).collect();
        let mut vectors = model.embed(texts).await?.into_iter();
        for range in batch {
            // A stretch that the provider rejects is compared with none.
            let vector = range.as_ref().and_then(|_| vectors.next()).and_then(Result::ok);
            // The first stretch has none before it.
            similarities.push(previous.as_ref().zip(vector.as_ref()).map(|(one, other)| cosine(one, other)));
            previous = vector;
        }
    }
    // So far the similarity of a stretch and the one before.
    let has_any = usize::from(!similarities.is_empty());
    similarities.rotate_left(has_any);
    Ok(similarities)
}

/// The cosine of two vectors of length one.
fn cosine(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}
