//! The embedding models of a process: the registry of the spaces that it serves.

use std::sync::Arc;

use nvisy_embed::{ApiKey, EmbedSettings, Embedder, OpenAiSettings, Provider, SpaceSpec};

use crate::{
    domain::connection::{embedding::EmbeddingSettings, model::ModelCredentials},
    id::SpaceId,
    outbound::{GuardedClient, OutboundFailure},
};

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

/// Requests of one batch of passages that a worker sends to the server of a connection at the same time.
const CONNECTION_REQUESTS: usize = 4;

/// The space of a connection's vectors.
#[must_use]
pub fn connection_space(settings: &EmbeddingSettings) -> SpaceSpec {
    SpaceSpec {
        provider: "openai".to_owned(),
        model: settings.model.clone(),
        dimensions: settings.dimensions,
        query_prefix: settings.query_prefix.clone(),
        passage_prefix: settings.passage_prefix.clone(),
    }
}

/// How the server of a connection is called: at checked addresses only.
///
/// # Errors
/// [`OutboundFailure::Blocked`] if the address is not allowed.
pub fn connection_embed_settings(
    settings: &EmbeddingSettings,
    credentials: Option<&ModelCredentials>,
    outbound: &GuardedClient,
) -> Result<EmbedSettings, OutboundFailure> {
    let base_url = settings.base_url().ok_or(OutboundFailure::Blocked("the connection has no address"))?;
    outbound.check(&base_url)?;
    let SpaceSpec { model, dimensions, query_prefix, passage_prefix, .. } = connection_space(settings);
    let provider = Provider::OpenAi(OpenAiSettings {
        client: outbound.http().clone(),
        base_url,
        api_key: credentials.map(|credentials| ApiKey::new(credentials.api_key.expose().clone())),
        model,
        dimensions,
        request_dimensions: settings.request_dimensions,
        concurrency: CONNECTION_REQUESTS,
        max_tokens: settings.max_tokens as usize,
        batch: settings.request_texts as usize,
        request_encoding: true,
        query_prefix,
        passage_prefix,
        tokenizer_file: None,
    });
    Ok(EmbedSettings { provider })
}
