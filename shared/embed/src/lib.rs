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

pub use error::{DimensionsError, EmbedError, OpenModelError, RerankError};
pub use reranker::{Reranker, RerankerSettings};
pub use settings::{ApiKey, EmbedSettings, LocalSettings, OpenAiSettings, Provider};
pub use space::{MAX_DIMENSIONS, SpaceSpec};
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
    model: Arc<Model>,
    /// The model's space, or that of its vectors cut to fewer dimensions.
    space: Arc<SpaceSpec>,
}

struct Model {
    /// The space of whole vectors.
    space: SpaceSpec,
    truncatable: bool,
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
        let mut model = match &settings.provider {
            Provider::Local(settings) => {
                let settings = settings.clone();
                tokio::task::spawn_blocking(move || local::open(&settings))
                    .await
                    .map_err(|_| OpenModelError::Panicked)??
            }
            Provider::OpenAi(settings) => openai::open(settings)?,
        };
        model.truncatable = settings.truncatable;
        let space = Arc::new(model.space.clone());
        let embedder = Self { model: Arc::new(model), space };
        let dimensions = settings.dimensions.unwrap_or(embedder.model_dimensions());
        embedder
            .with_dimensions(dimensions)
            .map_err(|error| OpenModelError::Setting(format!("the dimensions, {dimensions}, {error}")))
    }

    /// The space of this embedder's vectors.
    pub fn space(&self) -> &SpaceSpec {
        &self.space
    }

    /// The length of the model's own vectors, before they are cut.
    pub fn model_dimensions(&self) -> u16 {
        self.model.space.dimensions
    }

    /// Whether the model's vectors may be cut.
    pub fn is_truncatable(&self) -> bool {
        self.model.truncatable
    }

    /// The same model with vectors of so many dimensions: the first numbers of its own, scaled to length one.
    ///
    /// # Errors
    /// [`DimensionsError`] if the model does not give them.
    pub fn with_dimensions(&self, dimensions: u16) -> Result<Self, DimensionsError> {
        let space = self.model.space.with_dimensions(dimensions, self.model.truncatable)?;
        Ok(Self { model: Arc::clone(&self.model), space: Arc::new(space) })
    }

    /// The same model with the vectors of a space; `None`: it gives none in it.
    pub fn of_space(&self, space: &SpaceSpec) -> Option<Self> {
        self.with_dimensions(space.dimensions).ok().filter(|embedder| embedder.space() == space)
    }

    /// Tokens of the longest passage that the model reads whole, prefix and special tokens excluded. The local model ignores the
    /// rest of a longer one; a server may reject it.
    pub fn max_tokens(&self) -> usize {
        self.model.max_tokens
    }

    /// The model's tokenizer. Cheap to clone.
    pub fn tokenizer(&self) -> Tokenizer {
        self.model.tokenizer.clone()
    }

    /// The threads of the local model.
    fn threads(&self) -> Option<Arc<local::ThreadPool>> {
        match &self.model.backend {
            Backend::Local(local) => Some(Arc::clone(&local.pool)),
            Backend::OpenAi(_) => None,
        }
    }

    /// The vectors of `texts`, in their order, each of length one. Dropping the future ends the work after the current batches.
    ///
    /// # Errors
    /// See [`EmbedError`]; an error means that no text got a vector.
    pub async fn embed(&self, input_type: InputType, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vectors = self.embed_each(input_type, texts).await?;
        vectors.into_iter().map(|vector| vector.map_err(EmbedError::Rejected)).collect()
    }

    /// As [`Embedder::embed`], but a text that the server rejects costs no other one its vector: it has the server's message instead.
    ///
    /// # Errors
    /// See [`EmbedError`]. [`EmbedError::Rejected`] if the server rejects every text, also a harmless one.
    pub async fn embed_each(&self, input_type: InputType, mut texts: Vec<String>) -> Result<Vec<Embedded>, EmbedError> {
        let prefix = match input_type {
            InputType::Query => &self.space.query_prefix,
            InputType::Passage => &self.space.passage_prefix,
        };
        if !prefix.is_empty() {
            texts.iter_mut().for_each(|text| text.insert_str(0, prefix));
        }
        let dimensions = self.space.dimensions;
        let vectors: Vec<Embedded> = match &self.model.backend {
            Backend::Local(local) => local.embed(input_type, texts).await?.into_iter().map(Ok).collect(),
            Backend::OpenAi(openai) => openai.embed(input_type, texts, dimensions).await?,
        };
        Ok(vectors.into_iter().map(|vector| cut(vector?, dimensions)).collect())
    }
}

/// The first numbers of a vector, scaled to length one; a message if all of them are 0.
fn cut(mut vector: Vec<f32>, dimensions: u16) -> Embedded {
    let dimensions = usize::from(dimensions);
    if vector.len() > dimensions {
        vector.truncate(dimensions);
        vector.shrink_to_fit();
        if !to_unit_length(&mut vector) {
            return Err(format!("the first {dimensions} numbers of its vector have no direction"));
        }
    }
    Ok(vector)
}

/// The vector of a text, or the server's reason for rejecting it.
pub type Embedded = Result<Vec<f32>, String>;

/// Scales a vector to length one; false if it has no direction (zero, or not of finite numbers).
pub fn to_unit_length(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return false;
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    true
}

#[cfg(test)]
mod tests {
    use super::{cut, to_unit_length};

    #[test]
    fn cut_vector_has_length_one() {
        assert_eq!(cut(vec![3.0, 4.0, 12.0], 2), Ok(vec![0.6, 0.8]));
        assert_eq!(cut(vec![0.6, 0.8], 2), Ok(vec![0.6, 0.8]));
        assert!(cut(vec![0.0, 0.0, 1.0], 2).unwrap_err().contains("first 2 numbers"));
    }

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
