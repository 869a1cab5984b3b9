//! Transform: documents to chunks of a number of characters.

use nvisy_shared::pipeline::node::chunk_characters::ChunkCharacters;

use super::chunking;
use crate::{
    chunk::{CharacterLimits, by_characters},
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for ChunkCharacters {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let documents = chunking::documents("chunk.characters", input)?;
        let model = chunking::model(call, self.contextual_prefix);
        let limits = limits(self);
        chunking::cut_all(documents, move |document| by_characters(document, &model, limits)).await
    }
}

pub(super) const fn limits(settings: &ChunkCharacters) -> CharacterLimits {
    CharacterLimits {
        max_characters: settings.max_characters as usize,
        overlap_characters: settings.overlap_characters as usize,
    }
}
