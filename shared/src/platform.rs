//! Everything a process of Nvisy stands on, opened from the configuration in one place.

use std::{sync::Arc, time::Duration};

use crate::{
    blob::{BlobSettings, Blobs},
    config::{self, Config},
    crypt::{Keyring, MasterKey, code::Codes, seal::Seals},
    embed::{EmbedSettings, Embedder, LocalSettings, OpenAiSettings, Provider},
    id::SpaceId,
    lifecycle::Lifecycle,
    queue::{Queue, reconciler::Reconciler, relay::Relay},
    store::{self, Db},
};

/// Texts sent to an OpenAI-compatible endpoint in one request.
const REQUEST_TEXTS: usize = 64;

/// Connections to services, keys and model; cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// Settings.
    pub config: Arc<Config>,
    /// The pool.
    pub db: Db,
    /// NATS.
    pub queue: Queue,
    /// File bytes.
    pub blobs: Blobs,
    /// Of the activity log.
    pub seals: Seals,
    /// Of invites.
    pub codes: Codes,
    /// The model.
    pub embedder: Embedder,
    /// Where its vectors belong.
    pub space: SpaceId,
}

/// What could not be opened, in one sentence; the cause follows.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn opening<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> OpenError {
    move |source| OpenError { what, source: source.into() }
}

impl Platform {
    /// Opens everything. The database must be migrated.
    ///
    /// # Errors
    /// [`OpenError`] names the part.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let key = MasterKey::read(&config.encryption.key_file)
            .map_err(opening("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)"))?;
        let settings = embed_settings(&config.embedding)
            .map_err(opening("the embedding model is not fully named (NVISY_EMBEDDING_*)"))?;
        let (db, queue, embedder) = tokio::join!(
            store::connect(&config.database),
            Queue::connect(&config.nats, &config.queue),
            Embedder::open(&settings)
        );
        let db = db.map_err(opening("PostgreSQL cannot be reached (NVISY_DATABASE_URL)"))?;
        let queue = queue.map_err(opening("NATS JetStream cannot be used (NVISY_NATS_URL)"))?;
        let embedder = embedder.map_err(opening("the embedding model cannot be opened (NVISY_EMBEDDING_*)"))?;
        let bucket =
            BlobSettings { bucket: queue.names().files_bucket(), max_bytes: None, replicas: config.nats.replicas };
        let keyring = Keyring::new(key);
        let seals = Seals::new(keyring.clone());
        let codes = Codes::new(keyring.clone());
        let blobs = Blobs::open(queue.jetstream().clone(), &bucket, keyring)
            .await
            .map_err(opening("the object store of NATS cannot be opened"))?;
        let space = store::space::ensure(&db, embedder.space())
            .await
            .map_err(opening("the embedding space cannot be registered"))?;
        Ok(Self { config: Arc::new(config), db, queue, blobs, seals, codes, embedder, space })
    }

    /// Starts what every process does on the side: hand over the outbox, and find what was forgotten.
    pub fn start_relays(&self, lifecycle: &Lifecycle) {
        let settings = &self.config.queue;
        let relay = Relay { per_workspace: settings.workspace_jobs, poll: Duration::from_millis(settings.poll_millis) };
        lifecycle.spawn(relay.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
        let reconciler = Reconciler { lease: self.lease() };
        lifecycle.spawn(reconciler.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
    }

    /// How long a worker may be silent before its jobs are given to another.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.config.queue.lease_seconds)
    }

    /// How long a stopping process may finish what it has begun.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.config.queue.grace_seconds)
    }
}

fn embed_settings(settings: &config::Embedding) -> Result<EmbedSettings, &'static str> {
    let provider = match settings.provider {
        config::EmbeddingProvider::Local => Provider::Local(LocalSettings {
            directory: settings.directory.clone(),
            threads: settings.threads,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
        }),
        config::EmbeddingProvider::Openai => Provider::OpenAi(OpenAiSettings {
            base_url: settings.url.clone().ok_or("NVISY_EMBEDDING_URL must be set")?,
            api_key: settings.api_key.clone(),
            model: settings.model.clone().ok_or("NVISY_EMBEDDING_MODEL must be set")?,
            dimensions: settings.dimensions.ok_or("NVISY_EMBEDDING_DIMENSIONS must be set")?,
            request_dimensions: settings.request_dimensions,
            concurrency: settings.concurrency,
            timeout: Duration::from_secs(settings.timeout_seconds),
            max_tokens: settings.max_tokens,
            batch: REQUEST_TEXTS,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
            tokenizer_file: settings.tokenizer_file.clone(),
        }),
    };
    Ok(EmbedSettings { provider })
}
