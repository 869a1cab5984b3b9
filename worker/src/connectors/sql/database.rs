//! The database of a connection, and its open connections: they reach only addresses that may be called.

use std::time::Duration;

use nvisy_shared::{
    domain::connection::{
        InvalidSetting,
        relational::{DatabaseCredentials, DatabaseSettings, Dialect},
    },
    outbound::GuardedClient,
};
use sqlx::{Connection, mysql::MySqlConnection, postgres::PgConnection};

use super::{
    super::{CallFailure, OpenConnection},
    failure::of_error,
    mysql, postgres,
    postgres_rows::KeyTypes,
    relay::Relay,
};
use crate::context::Context;

/// Longest wait for a connection, with its authentication.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How much longer than the server's own limit a response is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The database of a connection.
#[derive(Clone)]
pub(super) struct Database {
    client: GuardedClient,
    connection: OpenConnection,
    pub(super) dialect: Dialect,
    pub(super) settings: DatabaseSettings,
    pub(super) credentials: DatabaseCredentials,
}

/// An open connection, for one stream. Its relay ends with it.
pub(super) struct Session {
    pub(super) inner: Inner,
    /// The types of the stream in PostgreSQL, once they are known.
    pub(super) key_types: Option<KeyTypes>,
    _relay: Relay,
}

pub(super) enum Inner {
    Postgres(Box<PgConnection>),
    MySql(Box<MySqlConnection>),
}

impl Database {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        let unknown = || InvalidSetting::new("provider", "is no database");
        let missing = || InvalidSetting::new("credentials", "must be set for this provider");
        Ok(Self {
            client: cx.outbound.clone(),
            dialect: Dialect::parse(&connection.provider).ok_or_else(unknown)?,
            settings: connection.settings()?,
            credentials: connection.credentials()?.ok_or_else(missing)?,
            connection: connection.clone(),
        })
    }

    /// The longest time of a statement.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.timeout_seconds.into())
    }

    /// Opens a way to one of the addresses that the host may be called at.
    pub(super) async fn relay(&self) -> Result<Relay, CallFailure> {
        Relay::open(&self.client, self.settings.host(), self.settings.port(self.dialect)).await
    }

    /// What an error means, without secrets.
    pub(super) fn failure(&self, error: &sqlx::Error) -> CallFailure {
        of_error(self.dialect, error).redacted(&self.connection)
    }

    /// Waits for a connection with its authentication, for a limited time.
    pub(super) async fn connecting<T>(
        &self,
        opening: impl Future<Output = Result<T, CallFailure>>,
    ) -> Result<T, CallFailure> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(CallFailure::Unavailable("no connection in time".to_owned())));
        opened.map_err(|failure| failure.redacted(&self.connection))
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Session, CallFailure> {
        let opening = async {
            let relay = self.relay().await?;
            let opened = match self.dialect {
                Dialect::PostgreSql => postgres::connect(self, &relay).await.map(Box::new).map(Inner::Postgres),
                Dialect::MySql => mysql::connect(self, &relay).await.map(Box::new).map(Inner::MySql),
            };
            match opened {
                Ok(inner) => Ok(Session { inner, key_types: None, _relay: relay }),
                Err(error) => Err(of_error(self.dialect, &error)),
            }
        };
        self.connecting(opening).await
    }

    /// Waits for a statement, and says what its failure means.
    pub(super) async fn within<T>(
        &self,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, CallFailure> {
        let done = tokio::time::timeout(self.timeout() + GRACE, statement).await;
        let done = done.map_err(|_| CallFailure::Unavailable("no response in time".to_owned()))?;
        done.map_err(|error| self.failure(&error))
    }
}

impl Session {
    /// Ends the connection in the way of the protocol.
    pub(super) async fn close(self) {
        // The server ends it as well when the socket closes.
        let _ = match self.inner {
            Inner::Postgres(connection) => connection.close().await,
            Inner::MySql(connection) => connection.close().await,
        };
    }
}
