//! Transform: a document to chunks that fit the model.

use async_trait::async_trait;
use nvisy_shared::domain::failure::{Failure, FailureCode};

use crate::{
    chunk::{self, ChunkLimits},
    pipeline::{
        artifact::Artifact,
        contract::{Effect, Node, Scope, wrong_input},
    },
    runner::JobError,
};

/// See the module.
pub(super) struct ChunkSectionNode {
    pub(super) max_tokens: Option<u32>,
    pub(super) overlap_tokens: u32,
}

#[async_trait]
impl Node for ChunkSectionNode {
    async fn run(&self, scope: &Scope<'_>, input: Artifact, _: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let Artifact::Document(document) = input else { return Err(wrong_input("chunk.section")) };
        let embedder = &scope.cx.embedder;
        let model = embedder.max_tokens();
        let max_tokens = self.max_tokens.map_or(model, |wanted| model.min(wanted as usize));
        let limits = ChunkLimits { max_tokens, overlap_tokens: self.overlap_tokens as usize };
        let tokenizer = embedder.tokenizer();
        // Tokenizing a large document takes seconds of computation, which must not block the async threads.
        let chunks = tokio::task::spawn_blocking(move || chunk::split(&document, &tokenizer, limits))
            .await
            .map_err(JobError::retry("chunking was interrupted"))?;
        if chunks.is_empty() {
            return Err(JobError::Fail(Failure::new(FailureCode::Empty, "there is no text in it")));
        }
        Ok(Artifact::Chunks(chunks))
    }
}
