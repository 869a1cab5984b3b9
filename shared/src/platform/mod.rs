//! The platform of a process: connections, keys and model, opened from the configuration.

mod inspect;
pub mod spaces;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use futures::future::try_join_all;
pub use inspect::{FileAccess, check_key_file, inspect};
use nvisy_embed::{
    ApiKey, EmbedSettings, Embedder, LocalSettings, OpenAiSettings, OpenModelError, Provider, Reranker,
    RerankerSettings,
};

use self::spaces::{ServedSpace, Spaces};
use crate::{
    blob::{BlobSettings, Blobs},
    config::{self, Config},
    crypt::{Keyring, MasterKey, audit_mac::AuditKeys, invite_code::InviteCodes},
    domain::{quota::Amounts, space::Quantisation},
    lifecycle::Lifecycle,
    outbound::{self, GuardedClient, OutboundError},
    queue::{NatsNames, Queue, QueueError, reconciler::Reconciler, relay::Relay},
    store::{self, Db},
};

/// Connections to services, keys and model; cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// The settings.
    pub config: Arc<Config>,
    /// The connection pool of PostgreSQL.
    pub db: Db,
    /// The connection to NATS.
    pub queue: Queue,
    /// Keys of workspaces, accounts and the installation.
    pub keys: Keyring,
    /// The object store of file bytes.
    pub blobs: Blobs,
    /// The keys of the activity log.
    pub audit_keys: AuditKeys,
    /// The codes of invites.
    pub invite_codes: InviteCodes,
    /// The embedding models and their spaces.
    pub spaces: Spaces,
    /// The operator's reranking model, if there is one.
    pub reranker: Option<Reranker>,
    /// The HTTP client for addresses that tenants choose.
    pub outbound: GuardedClient,
}

/// The part that could not be opened and the remedy, in one sentence; the cause follows.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// One of the parts.
    #[error("{what}")]
    Part {
        /// The part and the remedy.
        what: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// NATS; the error names the remedy.
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

/// Turns any error into a [`PlatformError`].
trait PlatformContext<T> {
    /// Adds the sentence that names the part and the remedy.
    fn context(self, what: &'static str) -> Result<T, PlatformError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> PlatformContext<T> for Result<T, E> {
    fn context(self, what: &'static str) -> Result<T, PlatformError> {
        self.map_err(|source| PlatformError::Part { what, source: source.into() })
    }
}

impl Platform {
    /// Opens everything. The database must be migrated.
    ///
    /// # Errors
    /// [`PlatformError`] names the part.
    pub async fn open(config: Config) -> Result<Self, PlatformError> {
        let key = MasterKey::read(&config.encryption.key_file)
            .context("NVISY_ENCRYPTION_KEY_FILE must name a key file of 32 bytes (`nvisy-api keys` creates one)")?;
        let settings = all_embed_settings(&config)
            .context("the settings of an embedding model are incomplete (NVISY_EMBEDDING_*)")?;
        let outbound = GuardedClient::new(&config.outbound)
            .context("the HTTP client cannot be set up: see the certificate authorities of the system")?;
        let (db, queue, embedders) = tokio::join!(
            store::connect(&config.database),
            Queue::connect(&config.nats, &config.queue),
            try_join_all(settings.iter().map(Embedder::open))
        );
        let db = db.context("PostgreSQL cannot be reached: NVISY_DATABASE_URL must name a running server")?;
        // Checked before anything is written under a key that does not belong to the database.
        if !store::installation::verify_master_key(&db, &key.check_value())
            .await
            .context("the database cannot be read: see the log of PostgreSQL")?
        {
            return Err(PlatformError::ForeignKey(config.encryption.key_file.clone()));
        }
        let queue = queue?;
        let embedders = embedders.context(
            "the embedding model cannot be opened: NVISY_EMBEDDING_DIRECTORY must name its folder, or \
             NVISY_EMBEDDING_PROVIDER be openai",
        )?;
        check_names(&embedders).context("NVISY_EMBEDDING_MODELS_FILE must have each model once")?;
        let reranker = open_reranker(&config, &embedders).await.context(
            "the reranking model cannot be opened: NVISY_RERANKING_DIRECTORY must name its folder, or be unset",
        )?;
        let bucket = bucket(&config, queue.names());
        let keys = Keyring::new(key);
        let audit_keys = AuditKeys::new(keys.clone());
        let invite_codes = InviteCodes::new(keys.clone());
        let blobs = Blobs::open(queue.jetstream().clone(), &bucket, keys.clone())
            .await
            .context("the object store of NATS cannot be opened: see the log of the NATS server")?;
        let mut served = Vec::with_capacity(embedders.len());
        for embedder in embedders {
            let id = store::space::ensure(&db, embedder.space())
                .await
                .context("an embedding space cannot be registered: see the log of PostgreSQL")?;
            let quantisation = Quantisation::of(embedder.space().dimensions);
            served.push(ServedSpace { id, embedder, quantisation });
        }
        let spaces = Spaces::new(served.remove(0), served);
        let config = Arc::new(config);
        Ok(Self { config, db, queue, keys, blobs, audit_keys, invite_codes, spaces, reranker, outbound })
    }

    /// Starts the background tasks of every process: the relay of the outbox, and the reconciler of jobs.
    pub fn start_relays(&self, lifecycle: &Lifecycle) {
        let settings = &self.config.queue;
        let relay = Relay { per_workspace: settings.workspace_jobs, poll: Duration::from_millis(settings.poll_millis) };
        lifecycle.spawn(relay.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
        let reconciler = Reconciler { lease: self.lease() };
        lifecycle.spawn(reconciler.run(self.db.clone(), self.queue.clone(), lifecycle.clone()));
    }

    /// The quota of a workspace without a quota of its own.
    #[must_use]
    pub fn quota(&self) -> Amounts {
        let quota = &self.config.quota;
        Amounts {
            files: quota.files,
            bytes: quota.bytes,
            chunks: quota.chunks,
            runs: quota.runs,
            collections: quota.collections,
        }
    }

    /// How long a worker may be silent before its jobs go to other workers.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.config.queue.lease_seconds)
    }

    /// How long a stopping process may finish the work in progress.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.config.queue.grace_seconds)
    }
}

fn bucket(config: &Config, names: &NatsNames) -> BlobSettings {
    BlobSettings { bucket: names.files_bucket(), max_bytes: None, replicas: config.nats.replicas }
}

/// Why the settings describe no embedder.
#[derive(Debug, thiserror::Error)]
enum EmbeddingError {
    #[error("{0} must be set")]
    Missing(&'static str),
    #[error("no client for the embedding server")]
    Client(#[from] OutboundError),
}

/// The model of `NVISY_EMBEDDING_*`, and the further ones.
fn all_embed_settings(config: &Config) -> Result<Vec<EmbedSettings>, EmbeddingError> {
    let settings = std::iter::once(&config.embedding).chain(&config.embedding.models);
    settings.map(|settings| embed_settings(settings, &config.outbound)).collect()
}

/// The model of `NVISY_RERANKING_DIRECTORY`, which shares the threads of a local embedding model.
async fn open_reranker(config: &Config, embedders: &[Embedder]) -> Result<Option<Reranker>, OpenModelError> {
    let Some(directory) = config.reranking.directory.clone() else { return Ok(None) };
    let settings = RerankerSettings { directory, threads: config.embedding.threads };
    Reranker::open(&settings, embedders).await.map(Some)
}

/// Collections name their model, so two models of a process must not have the same name.
fn check_names(embedders: &[Embedder]) -> Result<(), String> {
    let mut names = HashSet::new();
    let twice = embedders.iter().map(|embedder| &embedder.space().model).find(|name| !names.insert(*name));
    twice.map_or(Ok(()), |name| Err(format!("two models have the name {name}")))
}

fn embed_settings(
    settings: &config::EmbeddingConfig,
    calls: &config::OutboundConfig,
) -> Result<EmbedSettings, EmbeddingError> {
    let missing = EmbeddingError::Missing;
    let client = |url| outbound::client(Duration::from_secs(settings.timeout_seconds), calls.proxy_for(url));
    let provider = match settings.provider {
        config::EmbeddingProvider::Local => Provider::Local(LocalSettings {
            directory: settings.directory.clone(),
            threads: settings.threads,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
        }),
        config::EmbeddingProvider::Openai => Provider::OpenAi(OpenAiSettings {
            client: client(settings.url.as_ref().ok_or(missing("NVISY_EMBEDDING_URL"))?)?,
            base_url: settings.url.clone().ok_or(missing("NVISY_EMBEDDING_URL"))?,
            api_key: settings.api_key.as_ref().map(|key| ApiKey::new(key.expose().clone())),
            model: settings.model.clone().ok_or(missing("NVISY_EMBEDDING_MODEL"))?,
            dimensions: settings.dimensions.ok_or(missing("NVISY_EMBEDDING_DIMENSIONS"))?,
            request_dimensions: settings.request_dimensions,
            concurrency: settings.concurrency,
            max_tokens: settings.max_tokens,
            batch: settings.request_texts,
            request_encoding: settings.request_encoding,
            query_prefix: settings.query_prefix.clone(),
            passage_prefix: settings.passage_prefix.clone(),
            tokenizer_file: settings.tokenizer_file.clone(),
        }),
    };
    // The length of a server's vectors is a setting; that of a local model is known, and can only be reduced.
    let dimensions = match settings.provider {
        config::EmbeddingProvider::Local => settings.dimensions,
        config::EmbeddingProvider::Openai => None,
    };
    Ok(EmbedSettings { provider, truncatable: settings.truncatable, dimensions })
}
