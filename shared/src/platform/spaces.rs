//! The embedding models of a process: the registry of the spaces that it serves.

use std::sync::Arc;

use nvisy_embed::Embedder;

use crate::id::SpaceId;

/// A space, and the embedder that computes vectors in it.
#[derive(Clone)]
pub struct ServedSpace {
    /// The id.
    pub id: SpaceId,
    /// The embedder.
    pub embedder: Embedder,
}

/// The spaces that a process serves; cheap to clone.
#[derive(Clone)]
pub struct Spaces {
    default: ServedSpace,
    others: Arc<[ServedSpace]>,
}

impl Spaces {
    /// The space of `NVISY_EMBEDDING_*`, and those of the models in `NVISY_EMBEDDING_MODELS_FILE`.
    #[must_use]
    pub fn new(default: ServedSpace, others: Vec<ServedSpace>) -> Self {
        Self { default, others: others.into() }
    }

    /// The space of new collections.
    #[must_use]
    pub const fn default(&self) -> &ServedSpace {
        &self.default
    }

    /// A space; `None`: this process does not serve it.
    #[must_use]
    pub fn get(&self, id: SpaceId) -> Option<&ServedSpace> {
        self.iter().find(|space| space.id == id)
    }

    /// The space of a model. Names of models are unique in a process.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Option<&ServedSpace> {
        self.iter().find(|space| space.embedder.space().model == model)
    }

    /// All spaces, the default first.
    pub fn iter(&self) -> impl Iterator<Item = &ServedSpace> {
        std::iter::once(&self.default).chain(self.others.iter())
    }
}
