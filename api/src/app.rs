//! From settings to a running server: build, bind, run; the same calls in `main` and in tests.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{dev::Server, web::Data};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    config::{self, Config},
    lifecycle::Lifecycle,
    pipeline::{self, Definition, InvalidDefinition},
    platform::{self, Platform},
    queue::{QueueError, feed::EventFeed},
    store,
};

use crate::{
    auth::{
        authenticator::Authenticator,
        failed_logins,
        jwt::{KeyError, SigningKeys},
        password::Passwords,
        second_factor::SecondFactor,
    },
    http::{
        rate_limit::RateLimiter,
        stream_limit::StreamLimit,
        tls::{Certificate, TlsError},
    },
    mailer::Mailer,
    passage_scores::PassageScores,
    query_samples::QuerySamples,
    query_vectors::QueryVectors,
    recall_sampler::RecallSampler,
    search_counter::SearchCounter,
    server::{self, Components},
    shutdown::Shutdown,
    state::State,
};

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error(transparent)]
    Migration(#[from] nvisy_migration::ApplyError),
    #[error(transparent)]
    Platform(#[from] platform::PlatformError),
    #[error("the database cannot be asked for its signing key: look into the log of PostgreSQL")]
    Installation(#[source] store::Error),
    #[error("events cannot be followed: look into the log of the NATS server")]
    Feed(#[from] QueueError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("chunks cannot be cut as NVISY_CHUNK_* says")]
    Chunk(#[from] InvalidDefinition),
    #[error("{0} cannot be listened on: stop what uses it, or change NVISY_HTTP_ADDRESS")]
    Bind(SocketAddr, #[source] io::Error),
}

/// An API with all its components, before it listens.
pub struct App {
    components: Components,
    certificate: Option<Arc<Certificate>>,
    shutdown: Shutdown,
}

/// An API that listens, before it answers.
pub struct Bound {
    server: Server,
    address: SocketAddr,
    lifecycle: Lifecycle,
    drain: Duration,
    shutdown: Shutdown,
}

impl App {
    /// Reads the keys, migrates the database, and opens all components.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    // Boxed: otherwise each program, test and benchmark that calls it would compile all that it calls.
    pub fn build(config: Config, lifecycle: Lifecycle) -> LocalBoxFuture<'static, Result<Self, StartError>> {
        Box::pin(Self::open(config, lifecycle))
    }

    async fn open(mut config: Config, lifecycle: Lifecycle) -> Result<Self, StartError> {
        let signing_keys = SigningKeys::load(&config.auth)?;
        let certificate = Certificate::load(&config.http)?;
        let default_pipeline = default_pipeline(&config.chunk)?;
        // Taken out of the settings: once the schema is up to date, this process cannot act as its owner any more.
        if let Some(owner) = config.migration.database_url.take() {
            nvisy_migration::apply_as(owner.expose(), config.database.url.expose()).await?;
        }
        nvisy_migration::apply(config.database.url.expose()).await?;
        let platform = Platform::open(config).await?;
        // Before a token is signed that no other replica would accept.
        let known = store::installation::verify_signing_key(&platform.db, signing_keys.id()).await;
        if !known.map_err(StartError::Installation)? {
            return Err(signing_keys.foreign().into());
        }
        platform.start_relays(&lifecycle);
        if let Some(certificate) = &certificate {
            lifecycle.spawn(certificate.clone().watch(lifecycle.clone()));
        }
        let feed = EventFeed::open(&platform.queue, &lifecycle).await?;
        let mailer = Mailer::new(&platform.config.smtp);
        let limiter = Data::new(RateLimiter::new(platform.db.clone(), &platform.config.limit));
        let authenticator = Data::new(Authenticator::new(
            platform.db.clone(),
            limiter.clone(),
            signing_keys,
            Passwords::new(platform.config.auth.hashes, platform.config.auth.hash_mebibytes),
            SecondFactor::new(platform.keys.clone(), mailer),
        ));
        let recall = RecallSampler::new(platform.config.search.recall_sample);
        let query_vectors = QueryVectors::new(Duration::from_secs(platform.config.search.embedding_seconds));
        let state = Data::new(State {
            platform,
            authenticator,
            limiter,
            mailer,
            feed,
            streams: StreamLimit::default(),
            searches: SearchCounter::new(),
            query_vectors,
            passage_scores: PassageScores::default(),
            query_samples: QuerySamples::new(),
            recall,
            default_pipeline,
            lifecycle,
        });
        let shutdown = Shutdown::new(&state.lifecycle);
        spawn_writers(&state, &shutdown);
        Ok(Self { components: Components::new(state).await, certificate, shutdown })
    }

    /// Takes the configured address.
    ///
    /// # Errors
    /// When another process has taken it.
    pub fn bind(self) -> Result<Bound, StartError> {
        let tls = self.certificate.map(|certificate| certificate.server_config()).transpose()?;
        let state = self.components.state.clone();
        let config = &state.platform.config;
        let address = config.http.address;
        let (server, addresses) = server::bind(&config.http, &config.queue, tls, self.components)
            .map_err(|error| StartError::Bind(address, error))?;
        Ok(Bound {
            server,
            address: addresses.first().copied().unwrap_or(address),
            lifecycle: state.lifecycle.clone(),
            drain: Duration::from_secs(config.http.drain_seconds),
            shutdown: self.shutdown,
        })
    }
}

/// Starts the tasks that write buffers. They are not dropped at the hard stop: nothing else has what is in memory.
fn spawn_writers(state: &Data<State>, shutdown: &Shutdown) {
    let (own, stop) = (state.clone(), shutdown.clone());
    state.lifecycle.spawn_graceful(async move {
        own.authenticator.last_used.flush_loop(&own.platform.db, &stop).await;
    });
    let (own, stop) = (state.clone(), shutdown.clone());
    state.lifecycle.spawn_graceful(async move { own.searches.flush_loop(&own.platform.db, &stop).await });
    let (own, stop) = (state.clone(), shutdown.clone());
    state.lifecycle.spawn_graceful(async move { own.query_samples.flush_loop(&own.platform.db, &stop).await });
    let (own, stop) = (state.clone(), shutdown.clone());
    state.lifecycle.spawn_graceful(async move {
        failed_logins::flush_loop(&own.authenticator.failed_logins, &own.platform, &stop).await;
    });
}

/// The built-in pipeline as configured; a mistake must stop the start, not the first upload.
fn default_pipeline(settings: &config::ChunkConfig) -> Result<Definition, InvalidDefinition> {
    let definition = pipeline::builtin::definition(settings.max_tokens, settings.overlap_tokens);
    pipeline::compile_definition(&definition)?;
    Ok(definition)
}

impl Bound {
    /// The address it listens on; the port is a real one even when 0 was configured.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the soft stop. Then readiness fails, and everything else goes on for the drain, so that load balancers
    /// have time to notice. After it no new connection is accepted, and requests in progress are finished, unless the
    /// grace period or the hard stop ends them.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> io::Result<()> {
        let Self { lifecycle, drain, shutdown, .. } = self;
        let handle = self.server.handle();
        let server = tokio::spawn(self.server);
        let stop = tokio::spawn(async move {
            lifecycle.soft().cancelled().await;
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = lifecycle.hard().cancelled() => {}
            }
            tokio::select! {
                () = handle.stop(true) => {}
                () = lifecycle.hard().cancelled() => handle.stop(false).await,
            }
        });
        let result = server.await.map_err(io::Error::other);
        stop.abort();
        shutdown.requests_finished();
        result?
    }
}
