//! Texts in, vectors out: one interface over the model in this process and any OpenAI-compatible server.
//!
//! The crate knows texts and vectors, and nothing of tenants, rows or queues. A vector belongs to the [`SpaceSpec`] of the embedder that made it, and has length one, so that a dot product is a cosine.

mod error;
mod local;
mod openai;
mod settings;
mod space;
mod tokenizer;

use std::sync::Arc;

pub use error::{EmbedError, OpenError};
pub use settings::{ApiKey, EmbedSettings, LocalSettings, OpenAiSettings, Provider};
pub use space::SpaceSpec;
pub use tokenizer::Tokenizer;

use local::Local;
use openai::OpenAi;

/// What a text is embedded for; decides the prefix put before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Something to search for. Somebody waits: goes ahead of passages.
    Query,
    /// Something to be found.
    Passage,
}

/// An open embedding model. Clones share it; with the last one its threads end.
#[derive(Clone)]
pub struct Embedder {
    inner: Arc<Inner>,
}

struct Inner {
    space: SpaceSpec,
    max_tokens: usize,
    tokenizer: Tokenizer,
    engine: Engine,
}

enum Engine {
    Local(Local),
    OpenAi(Box<OpenAi>),
}

impl Embedder {
    /// Opens what the settings name: loads the local model (a fraction of a second, on a thread for blocking work), or checks
    /// the settings of a server. Calls no server.
    ///
    /// # Errors
    /// [`OpenError`] if a file is missing or not understood, or a setting makes no sense.
    pub async fn open(settings: &EmbedSettings) -> Result<Self, OpenError> {
        let inner = match &settings.provider {
            Provider::Local(settings) => {
                let settings = settings.clone();
                tokio::task::spawn_blocking(move || local::open(&settings)).await.map_err(|_| OpenError::Panicked)??
            }
            Provider::OpenAi(settings) => openai::open(settings)?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The space this embedder's vectors live in.
    pub fn space(&self) -> &SpaceSpec {
        &self.inner.space
    }

    /// Tokens of the longest passage the model takes whole, prefix and special tokens excluded. The local model reads no
    /// further; a server may refuse a longer one.
    pub fn max_tokens(&self) -> usize {
        self.inner.max_tokens
    }

    /// Counts and places tokens as this model does. Cheap to clone.
    pub fn tokenizer(&self) -> Tokenizer {
        self.inner.tokenizer.clone()
    }

    /// The vectors of `texts`, in their order, each of length one. Drop the future and the work ends after the texts in hand.
    ///
    /// # Errors
    /// See [`EmbedError`]; either all texts get a vector or none.
    pub async fn embed(&self, purpose: Purpose, mut texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prefix = match purpose {
            Purpose::Query => &self.inner.space.query_prefix,
            Purpose::Passage => &self.inner.space.passage_prefix,
        };
        if !prefix.is_empty() {
            texts.iter_mut().for_each(|text| text.insert_str(0, prefix));
        }
        match &self.inner.engine {
            Engine::Local(local) => local.embed(purpose, texts).await,
            Engine::OpenAi(openai) => openai.embed(purpose, texts).await,
        }
    }
}

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
    fn a_vector_without_direction_is_refused() {
        assert!(!to_unit_length(&mut [0.0, 0.0]));
        assert!(!to_unit_length(&mut [f32::NAN, 1.0]));
        assert!(!to_unit_length(&mut [f32::INFINITY, 1.0]));
    }
}
