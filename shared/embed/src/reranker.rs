//! Scores passages for a query with a model in this process.

use std::path::PathBuf;
use std::sync::Arc;

use super::local::{ThreadPool, cross_encoder::CrossEncoder};
use super::{Embedder, OpenModelError, RerankError};

/// The settings of [`Reranker::open`].
#[derive(Clone, Debug)]
pub struct RerankerSettings {
    /// The directory of a published cross-encoder (BERT, RoBERTa) with one output: `model.safetensors`, `tokenizer.json` and `config.json`. The
    /// directory's name is the model's name.
    pub directory: PathBuf,
    /// Threads that compute, where no embedder lends its own; 0 means one per core.
    pub threads: usize,
}

/// An open reranking model. Clones share it.
#[derive(Clone)]
pub struct Reranker {
    pub(super) model: Arc<CrossEncoder>,
    pub(super) threads: Arc<ThreadPool>,
}

impl Reranker {
    /// Loads the model, on a thread for blocking work. It computes on the threads of the first of `embedders` that is a local model:
    /// so both together use no more threads than the operator allows, and vectors of queries, which are short work, come first.
    ///
    /// # Errors
    /// [`OpenModelError`] if a file is missing or the model is not a cross-encoder of the BERT family with one output.
    pub async fn open(settings: &RerankerSettings, embedders: &[Embedder]) -> Result<Self, OpenModelError> {
        let threads = match embedders.iter().find_map(Embedder::threads) {
            Some(threads) => threads,
            None => Arc::new(ThreadPool::start(settings.threads).map_err(OpenModelError::Thread)?),
        };
        let directory = settings.directory.clone();
        let model = tokio::task::spawn_blocking(move || CrossEncoder::open(&directory))
            .await
            .map_err(|_| OpenModelError::Panicked)??;
        Ok(Self { model: Arc::new(model), threads })
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// How relevant each passage is to the query, 0 to 1, in the order of the passages. The model reads no more tokens of query and
    /// passage than it was trained for; the longer of both loses its end first. Dropping the future ends the work after the current
    /// batches.
    ///
    /// # Errors
    /// See [`RerankError`]; an error means that no passage got a score.
    pub async fn score(&self, query: &str, passages: Vec<String>) -> Result<Vec<f64>, RerankError> {
        let logits = self.model.score(&self.threads, query, passages).await?;
        // The logistic function, which serving programs apply as well: the scores of all rerankers are comparable in kind.
        let scores: Vec<f64> = logits.into_iter().map(|logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).collect();
        if scores.iter().any(|score| score.is_nan()) {
            return Err(RerankError::NotANumber);
        }
        Ok(scores)
    }
}
