//! Everything a process of Nvisy stands on, opened from the configuration in one place.

mod inspect;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use inspect::{Privacy, file, inspect};
use nvisy_embed::{ApiKey, EmbedSettings, Embedder, LocalSettings, OpenAiSettings, Provider};

use crate::{
    blob::{BlobSettings, Blobs},
    config::{self, Config},
    crypt::{Keyring, MasterKey, audit_mac::AuditKeys, invite_code::InviteCodes},
    domain::quota::Amounts,
    id::SpaceId,
    lifecycle::Lifecycle,
    outbound::{self, OutboundError},
    queue::{NatsNames, Queue, QueueError, reconciler::Reconciler, relay::Relay},
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
    /// Keys of workspaces, accounts and the installation.
    pub keys: Keyring,
    /// File bytes.
    pub blobs: Blobs,
    /// Of the activity log.
    pub audit_keys: AuditKeys,
    /// Of invites.
    pub invite_codes: InviteCodes,
    /// The model.
    pub embedder: Embedder,
    /// Where its vectors belong.
    pub space: SpaceId,
}

/// What could not be opened and what to do, in one sentence; the cause follows.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One of the parts.
    #[error("{what}")]
    Part {
        /// Which, and the remedy.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// NATS, which says itself what to do.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The master key is not the one that this database was started with.
    #[error(
        "the encryption key {} does not belong to this database, and cannot open what is stored: let \
         NVISY_ENCRYPTION_KEY_FILE name the key of its first start, or NVISY_DATABASE_URL the database of this key, or \
         begin with an empty database (`nvisy-migrate fresh`)",
        .0.display()
    )]
    ForeignKey(PathBuf),
}

fn opening<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> OpenError {
    move |source| OpenError::Part { what, source: source.into() }
}

impl Platform {
    /// Opens everything. The database must be migrated.
    ///
    /// # Errors
    /// [`OpenError`] names the part.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let key = MasterKey::read(&config.encryption.key_file).map_err(opening(
            "NVISY_ENCRYPTION_KEY_FILE must name a key file of 32 bytes (`nvisy-api keys` makes one)",
        ))?;
        let settings = embed_settings(&config.embedding)
            .map_err(opening("the embedding model is not fully named (NVISY_EMBEDDING_*)"))?;
        let (db, queue, embedder) = tokio::join!(
            store::connect(&config.database),
            Queue::connect(&config.nats, &config.queue),
            Embedder::open(&settings)
        );
        let db = db.map_err(opening("PostgreSQL cannot be reached: NVISY_DATABASE_URL must name a running server"))?;
        // Before anything is written under a key that the database does not know.
        if !store::installation::has_master_key(&db, &key.check_value())
            .await
            .map_err(opening("the database cannot be asked for its key: look into the log of PostgreSQL"))?
        {
            return Err(OpenError::ForeignKey(config.encryption.key_file.clone()));
        }
        let queue = queue?;
        let embedder = embedder.map_err(opening(
            "the embedding model cannot be opened: NVISY_EMBEDDING_DIRECTORY must name its folder, or \
             NVISY_EMBEDDING_PROVIDER be openai",
        ))?;
        let bucket = bucket(&config, queue.names());
        let keys = Keyring::new(key);
        let audit_keys = AuditKeys::new(keys.clone());
        let invite_codes = InviteCodes::new(keys.clone());
        let blobs = Blobs::open(queue.jetstream().clone(), &bucket, keys.clone())
            .await
            .map_err(opening("the object store of NATS cannot be opened: look into the log of the NATS server"))?;
        let space = store::space::ensure(&db, embedder.space())
            .await
            .map_err(opening("the embedding space cannot be registered: look into the log of PostgreSQL"))?;
        Ok(Self { config: Arc::new(config), db, queue, keys, blobs, audit_keys, invite_codes, embedder, space })
    }

    /// Starts what every process does on the side: hand over the outbox, and find what was forgotten.
    pub fn start_relays(&self, lifecycle: &Lifecycle) {
        let settings = &self.config.queue;
        let relay = Relay { per_workspace: settings.workspace_jobs, poll: Duration::from_millis(settings.poll_millis) };
        lifecycle.spawn(relay.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
        let reconciler = Reconciler { lease: self.lease() };
        lifecycle.spawn(reconciler.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
    }

    /// What a workspace may use, unless something else is said of it.
    #[must_use]
    pub fn quota(&self) -> Amounts {
        let quota = &self.config.quota;
        Amounts { files: quota.files, bytes: quota.bytes, chunks: quota.chunks, runs: quota.runs }
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

fn bucket(config: &Config, names: &NatsNames) -> BlobSettings {
    BlobSettings { bucket: names.files_bucket(), max_bytes: None, replicas: config.nats.replicas }
}

/// Why the settings name no embedder.
#[derive(Debug, thiserror::Error)]
enum EmbeddingError {
    #[error("{0} must be set")]
    Missing(&'static str),
    #[error("no client for the embedding server")]
    Client(#[from] OutboundError),
}

fn embed_settings(settings: &config::Embedding) -> Result<EmbedSettings, EmbeddingError> {
    let missing = EmbeddingError::Missing;
    let provider = match settings.provider {
        config::EmbeddingProvider::Local => Provider::Local(LocalSettings {
            directory: settings.directory.clone(),
            threads: settings.threads,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
        }),
        config::EmbeddingProvider::Openai => Provider::OpenAi(OpenAiSettings {
            client: outbound::client(Duration::from_secs(settings.timeout_seconds))?,
            base_url: settings.url.clone().ok_or(missing("NVISY_EMBEDDING_URL"))?,
            api_key: settings.api_key.as_ref().map(|key| ApiKey::new(key.expose().clone())),
            model: settings.model.clone().ok_or(missing("NVISY_EMBEDDING_MODEL"))?,
            dimensions: settings.dimensions.ok_or(missing("NVISY_EMBEDDING_DIMENSIONS"))?,
            request_dimensions: settings.request_dimensions,
            concurrency: settings.concurrency,
            max_tokens: settings.max_tokens,
            batch: REQUEST_TEXTS,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
            tokenizer_file: settings.tokenizer_file.clone(),
        }),
    };
    Ok(EmbedSettings { provider })
}
