//! The embedding models of a process: the registry of the spaces that it serves.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use nvisy_embed::{ApiKey, EmbedSettings, Embedder, OpenAiSettings, Provider, SpaceSpec};

use crate::{
    domain::{
        connection::{embedding::EmbeddingSettings, model::ModelCredentials},
        space::Quantisation,
    },
    id::SpaceId,
    outbound::{GuardedClient, OutboundFailure},
    store::{self, Conn, space::Space},
};

/// A space, and the embedder that computes vectors in it.
#[derive(Clone)]
pub struct ServedSpace {
    /// The id.
    pub id: SpaceId,
    /// The embedder.
    pub embedder: Embedder,
    /// What the index keeps of the vectors.
    pub quantisation: Quantisation,
}

/// The spaces that a process serves; cheap to clone.
#[derive(Clone)]
pub struct Spaces {
    default: ServedSpace,
    others: Arc<[ServedSpace]>,
    /// Further spaces of the same models, which requests have created: with fewer dimensions, or another index.
    requested: Arc<RwLock<HashMap<SpaceId, ServedSpace>>>,
}

impl Spaces {
    /// The space of `NVISY_EMBEDDING_*`, and those of the models in `NVISY_EMBEDDING_MODELS_FILE`.
    #[must_use]
    pub fn new(default: ServedSpace, others: Vec<ServedSpace>) -> Self {
        Self { default, others: others.into(), requested: Arc::default() }
    }

    /// The space of new collections.
    #[must_use]
    pub const fn default(&self) -> &ServedSpace {
        &self.default
    }

    /// A space; `None`: this process does not serve it, or has not loaded it ([`Spaces::load`]).
    #[must_use]
    pub fn get(&self, id: SpaceId) -> Option<ServedSpace> {
        let of_model = self.of_models().find(|space| space.id == id).cloned();
        of_model.or_else(|| self.requested.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
    }

    /// Reads those of these spaces that are not known yet, and keeps those that one of the models has vectors in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn load(&self, conn: &impl Conn, ids: impl IntoIterator<Item = SpaceId> + Send) -> store::Result<()> {
        let unknown: Vec<SpaceId> = ids.into_iter().filter(|id| self.get(*id).is_none()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        for (id, Space { spec, quantisation }) in store::space::of_models(conn, unknown).await? {
            let embedder = self.of_models().find_map(|served| served.embedder.of_space(&spec));
            if let Some(embedder) = embedder {
                let served = ServedSpace { id, embedder, quantisation };
                self.requested.write().unwrap_or_else(PoisonError::into_inner).insert(id, served);
            }
        }
        Ok(())
    }

    /// The spaces in which one of the models computes vectors, those that requests have created included.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn served(&self, conn: &impl Conn) -> store::Result<Vec<SpaceId>> {
        let mut ids = store::space::ids_of_models(conn).await?;
        self.load(conn, ids.iter().copied()).await?;
        ids.retain(|id| self.get(*id).is_some());
        Ok(ids)
    }

    /// The space of a model. Names of models are unique in a process.
    #[must_use]
    pub fn of_model(&self, model: &str) -> Option<&ServedSpace> {
        self.of_models().find(|space| space.embedder.space().model == model)
    }

    /// The spaces of the models, the default first.
    pub fn of_models(&self) -> impl Iterator<Item = &ServedSpace> {
        std::iter::once(&self.default).chain(self.others.iter())
    }
}

/// Requests of one batch of passages that a worker sends to the server of a connection at the same time.
const CONNECTION_REQUESTS: usize = 4;

/// The space of a connection's whole vectors.
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

/// How the server of a connection is called: at checked addresses only, or through the operator's proxy.
///
/// # Errors
/// [`OutboundFailure::Blocked`] if the address is not allowed.
pub async fn connection_embed_settings(
    settings: &EmbeddingSettings,
    credentials: Option<&ModelCredentials>,
    outbound: &GuardedClient,
) -> Result<EmbedSettings, OutboundFailure> {
    let base_url = settings.base_url().ok_or(OutboundFailure::Blocked("the connection has no address"))?;
    outbound.check_request(&base_url).await?;
    let SpaceSpec { model, dimensions, query_prefix, passage_prefix, .. } = connection_space(settings);
    let provider = Provider::OpenAi(OpenAiSettings {
        client: outbound.http(&base_url).clone(),
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
    Ok(EmbedSettings { provider, truncatable: settings.truncatable, dimensions: None })
}
