//! From settings to a running server: build, bind, run; the same calls in `main` and in tests.

use std::{io, net::SocketAddr};

use actix_web::{dev::Server, web::Data};
use nvisy_shared::{
    config::{self, Config},
    lifecycle::Lifecycle,
    store,
};

use crate::{
    auth::{
        password::Passwords,
        token::{KeyError, Keys},
    },
    http::{openapi::Document, server},
    state::State,
};

/// Why the API cannot start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("the database schema cannot be brought up to date")]
    Migration(#[source] nvisy_migration::ApplyError),
    #[error("the database cannot be reached")]
    Database(#[source] store::Error),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("{0} cannot be listened on")]
    Bind(SocketAddr, #[source] io::Error),
}

/// An API that has all it needs and does not listen yet.
#[derive(Debug)]
pub struct App {
    http: config::Http,
    queue: config::Queue,
    state: Data<State>,
}

/// An API that listens and does not answer yet.
pub struct Bound {
    server: Server,
    address: SocketAddr,
    state: Data<State>,
}

impl App {
    /// Brings the database up to date, connects to it, and reads the keys.
    ///
    /// # Errors
    /// When one of them cannot be done.
    pub async fn build(config: Config, lifecycle: Lifecycle) -> Result<Self, StartError> {
        let keys = Keys::load(&config.auth)?;
        nvisy_migration::apply(config.database.url.expose()).await.map_err(StartError::Migration)?;
        let state = State {
            db: store::connect(&config.database).await.map_err(StartError::Database)?,
            keys,
            passwords: Passwords::new(config.auth.hashes),
            document: Document::collect().await,
            lifecycle,
        };
        Ok(Self { http: config.http, queue: config.queue, state: Data::new(state) })
    }

    /// Takes the configured address.
    ///
    /// # Errors
    /// When it is taken by somebody else.
    pub fn bind(self) -> Result<Bound, StartError> {
        let address = self.http.address;
        let (server, addresses) = server::bind(&self.http, &self.queue, self.state.clone())
            .map_err(|error| StartError::Bind(address, error))?;
        Ok(Bound { server, address: addresses.first().copied().unwrap_or(address), state: self.state })
    }
}

impl Bound {
    /// Where it listens; the port is a real one even when 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the soft stop. Then readiness fails, no new connection is taken, and what is in progress is
    /// finished, unless the grace period or the hard stop ends it.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> io::Result<()> {
        let lifecycle = self.state.lifecycle.clone();
        let handle = self.server.handle();
        let server = tokio::spawn(self.server);
        let stop = tokio::spawn(async move {
            lifecycle.soft().cancelled().await;
            tokio::select! {
                () = handle.stop(true) => {}
                () = lifecycle.hard().cancelled() => handle.stop(false).await,
            }
        });
        let result = server.await.map_err(io::Error::other)?;
        stop.abort();
        result
    }
}
