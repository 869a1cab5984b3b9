//! Turns texts into vectors, with a model in this process or with any OpenAI-compatible server, and scores passages for a query with
//! a model in this process.
//!
//! A vector belongs to the [`SpaceSpec`] of its embedder and has length one, so that a dot product is a cosine. The crate knows texts
//! and vectors, and nothing of tenants, rows or queues.

mod error;
mod local;
pub mod neighbours;
mod openai;
mod reranker;
mod settings;
mod space;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tokenizer;

use std::sync::Arc;

pub use error::{EmbedError, OpenModelError, RerankError};
pub use reranker::{Reranker, RerankerSettings};
pub use settings::{ApiKey, EmbedSettings, LocalSettings, OpenAiSettings, Provider};
pub use space::SpaceSpec;
pub use tokenizer::Tokenizer;

use local::Local;
use openai::OpenAi;

/// The role of a text in a search; selects its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// A search query. Queries overtake passages, because a caller waits for the response.
    Query,
    /// A passage that searches find.
    Passage,
}

/// An open embedding model. Clones share it; dropping the last one ends its threads.
#[derive(Clone)]
pub struct Embedder {
    inner: Arc<Inner>,
}

struct Inner {
    space: SpaceSpec,
    max_tokens: usize,
    tokenizer: Tokenizer,
    backend: Backend,
}

enum Backend {
    Local(Local),
    OpenAi(Box<OpenAi>),
}

impl Embedder {
    /// Loads the local model (a fraction of a second, on a thread for blocking work), or checks the settings of a server without
    /// calling it.
    ///
    /// # Errors
    /// [`OpenModelError`] if a file is missing or unsupported, or a setting is invalid.
    pub async fn open(settings: &EmbedSettings) -> Result<Self, OpenModelError> {
        let inner = match &settings.provider {
            Provider::Local(settings) => {
                let settings = settings.clone();
                tokio::task::spawn_blocking(move || local::open(&settings))
                    .await
                    .map_err(|_| OpenModelError::Panicked)??
            }
            Provider::OpenAi(settings) => openai::open(settings)?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The space of this embedder's vectors.
    pub fn space(&self) -> &SpaceSpec {
        &self.inner.space
    }

    /// Tokens of the longest passage that the model reads whole, prefix and special tokens excluded. The local model ignores the
    /// rest of a longer one; a server may reject it.
    pub fn max_tokens(&self) -> usize {
        self.inner.max_tokens
    }

    /// The model's tokenizer. Cheap to clone.
    pub fn tokenizer(&self) -> Tokenizer {
        self.inner.tokenizer.clone()
    }

    /// The threads of the local model.
    fn threads(&self) -> Option<Arc<local::ThreadPool>> {
        match &self.inner.backend {
            Backend::Local(local) => Some(Arc::clone(&local.pool)),
            Backend::OpenAi(_) => None,
        }
    }

    /// The vectors of `texts`, in their order, each of length one. Dropping the future ends the work after the current batches.
    ///
    /// # Errors
    /// See [`EmbedError`]; an error means that no text got a vector.
    pub async fn embed(&self, input_type: InputType, mut texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prefix = match input_type {
            InputType::Query => &self.inner.space.query_prefix,
            InputType::Passage => &self.inner.space.passage_prefix,
        };
        if !prefix.is_empty() {
            texts.iter_mut().for_each(|text| text.insert_str(0, prefix));
        }
        match &self.inner.backend {
            Backend::Local(local) => local.embed(input_type, texts).await,
            Backend::OpenAi(openai) => {
                let vectors = openai.embed(input_type, texts).await?;
                vectors.into_iter().map(|vector| vector.map_err(EmbedError::Rejected)).collect()
            }
        }
    }

    /// As [`Embedder::embed`], but a text that the server rejects costs no other one its vector: it has the server's message instead.
    ///
    /// # Errors
    /// See [`EmbedError`]. [`EmbedError::Rejected`] if the server rejects every text, also a harmless one.
    pub async fn embed_each(&self, input_type: InputType, mut texts: Vec<String>) -> Result<Vec<Embedded>, EmbedError> {
        let Backend::OpenAi(openai) = &self.inner.backend else {
            return Ok(self.embed(input_type, texts).await?.into_iter().map(Ok).collect());
        };
        let prefix = match input_type {
            InputType::Query => &self.inner.space.query_prefix,
            InputType::Passage => &self.inner.space.passage_prefix,
        };
        texts.iter_mut().for_each(|text| text.insert_str(0, prefix));
        openai.embed(input_type, texts).await
    }
}

/// The vector of a text, or the server's reason for rejecting it.
pub type Embedded = Result<Vec<f32>, String>;

/// Scales a vector to length one; false if it has no direction (zero, or not of finite numbers).
fn to_unit_length(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return false;
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    true
}

#[cfg(test)]
mod tests {
    use super::to_unit_length;

    #[test]
    fn unit_length_keeps_the_direction() {
        let mut vector = [3.0, 4.0];
        assert!(to_unit_length(&mut vector));
        assert_eq!(vector, [0.6, 0.8]);
    }

    #[test]
    fn vector_without_direction_is_rejected() {
        assert!(!to_unit_length(&mut [0.0, 0.0]));
        assert!(!to_unit_length(&mut [f32::NAN, 1.0]));
        assert!(!to_unit_length(&mut [f32::INFINITY, 1.0]));
    }
}
