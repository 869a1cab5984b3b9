//! From settings to a running server: build, bind, run; the same calls in `main` and in tests.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{dev::Server, web::Data};
use nvisy_shared::{
    config::{self, Config},
    domain::{
        pipeline::{self, Definition},
        plan,
    },
    lifecycle::Lifecycle,
    platform::{self, Platform},
    queue::{QueueError, feed::EventFeed},
    store,
};

use crate::{
    auth::{
        failed_logins::{self, Refusals},
        jwt::{KeyError, Keys},
        last_used::{self, LastUsed},
        password::Passwords,
        recent_credentials::Familiar,
    },
    content::events::stream_limit::Open,
    http::{
        rate_limit::Limits,
        tls::{Certificate, TlsError},
    },
    search_counter::{self, Tally},
    server::{self, health::Readiness, openapi::Document},
    shutdown::Closing,
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
    Chunk(#[from] plan::Invalid),
    #[error("{0} cannot be listened on: stop what uses it, or change NVISY_HTTP_ADDRESS")]
    Bind(SocketAddr, #[source] io::Error),
}

/// An API that has all it needs and does not listen yet.
pub struct App {
    state: Data<State>,
    certificate: Option<Arc<Certificate>>,
}

/// An API that listens and does not answer yet.
pub struct Bound {
    server: Server,
    address: SocketAddr,
    state: Data<State>,
}

impl App {
    /// Reads the keys, brings the database up to date, and opens all that requests need.
    ///
    /// # Errors
    /// When one of them cannot be done.
    pub async fn build(mut config: Config, lifecycle: Lifecycle) -> Result<Self, StartError> {
        let keys = Keys::load(&config.auth)?;
        let certificate = Certificate::load(&config.http)?;
        let index = index(&config.chunk)?;
        // Taken out of the settings: once the schema is up to date, nothing here can be the owner any more.
        if let Some(owner) = config.migration.database_url.take() {
            nvisy_migration::apply_as(owner.expose(), config.database.url.expose()).await?;
        }
        nvisy_migration::apply(config.database.url.expose()).await?;
        let passwords = Passwords::new(config.auth.hashes);
        let platform = Platform::open(config).await?;
        // Before a token is signed that no other replica would take.
        if !store::installation::has_signing_key(&platform.db, keys.id()).await.map_err(StartError::Installation)? {
            return Err(keys.foreign().into());
        }
        platform.start_relays(&lifecycle);
        if let Some(certificate) = &certificate {
            lifecycle.spawn(certificate.clone().watch(lifecycle.clone()));
        }
        let feed = EventFeed::open(&platform.queue, &lifecycle).await?;
        let document = Document::collect().await;
        let limits = Limits::new(&platform.config.limit);
        let tally = Tally::default();
        let state = Data::new(State {
            platform,
            index,
            feed,
            keys,
            passwords,
            familiar: Familiar::new(),
            last_used: LastUsed::default(),
            refusals: Refusals::default(),
            streams: Open::default(),
            tally,
            document,
            limits,
            readiness: Readiness::default(),
            closing: Closing::new(&lifecycle),
            lifecycle,
        });
        // They watch for the hard stop themselves: what is in memory is nowhere else.
        state.lifecycle.spawn_graceful(last_used::write_down(state.clone()));
        state.lifecycle.spawn_graceful(search_counter::write_down(state.clone()));
        state.lifecycle.spawn_graceful(failed_logins::write_down(state.clone()));
        Ok(Self { state, certificate })
    }

    /// Takes the configured address.
    ///
    /// # Errors
    /// When it is taken by somebody else.
    pub fn bind(self) -> Result<Bound, StartError> {
        let config = &self.state.platform.config;
        let address = config.http.address;
        let tls = self.certificate.map(|certificate| certificate.server_config()).transpose()?;
        let (server, addresses) = server::bind(&config.http, &config.queue, tls, self.state.clone())
            .map_err(|error| StartError::Bind(address, error))?;
        Ok(Bound { server, address: addresses.first().copied().unwrap_or(address), state: self.state })
    }
}

/// The built-in pipeline as configured; a mistake must stop the start, not the first upload.
fn index(settings: &config::ChunkConfig) -> Result<Definition, plan::Invalid> {
    let definition = pipeline::builtin_index(settings.max_tokens, settings.overlap_tokens);
    plan::compile(&definition)?;
    Ok(definition)
}

impl Bound {
    /// Where it listens; the port is a real one even when 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the soft stop. Then readiness fails, and everything else goes on for the drain: whoever sends us
    /// requests has time to notice. After it no new connection is taken, and what is in progress is finished, unless the
    /// grace period or the hard stop ends it.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> io::Result<()> {
        let lifecycle = self.state.lifecycle.clone();
        let drain = Duration::from_secs(self.state.platform.config.http.drain_seconds);
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
        self.state.closing.all_served();
        result?
    }
}
