//! Transform: documents to chunks at headings, paragraphs and sentences.

use nvisy_shared::pipeline::node::chunk_section::ChunkSection;

use super::chunking;
use crate::{
    chunk::{SectionLimits, by_sections},
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for ChunkSection {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let documents = chunking::documents("chunk.section", input)?;
        let model = chunking::model(call, self.contextual_prefix);
        let limits = limits(self, model.max_tokens);
        chunking::cut_all(documents, move |document| by_sections(document, &model, limits)).await
    }
}

pub(super) fn limits(settings: &ChunkSection, model_tokens: usize) -> SectionLimits {
    SectionLimits {
        min_tokens: settings.min_tokens.map(|tokens| tokens as usize),
        max_tokens: settings.max_tokens.map_or(model_tokens, |tokens| model_tokens.min(tokens as usize)),
        overlap_tokens: settings.overlap_tokens as usize,
    }
}
