//! Relational databases, through sqlx: a connection of a tenant reaches only addresses that may be called.

mod failure;
mod mysql;
mod mysql_rows;
mod postgres;
mod postgres_rows;
mod relay;
mod source;
mod target;

use std::time::Duration;

use nvisy_shared::{
    domain::connection::{
        InvalidSetting,
        relational::{DatabaseCredentials, DatabaseSettings, Dialect},
    },
    outbound::GuardedClient,
};
use sqlx::{Connection, mysql::MySqlConnection, postgres::PgConnection};

use self::{failure::of_error, relay::Relay, source::SqlSource, target::SqlTarget};
use super::{CallFailure, OpenConnection, Source, Target};
use crate::context::Context;

/// Longest wait for a connection, with its authentication.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How much longer than the server's own limit a response is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The target of a connection to a database.
pub(super) fn target(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Target>, CallFailure> {
    Ok(Box::new(SqlTarget::new(Database::new(cx, connection)?)))
}

/// The source of a connection to a database.
pub(super) fn source(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Source>, CallFailure> {
    Ok(Box::new(SqlSource(Database::new(cx, connection)?)))
}

/// The database of a connection.
#[derive(Clone)]
pub(super) struct Database {
    client: GuardedClient,
    connection: OpenConnection,
    dialect: Dialect,
    settings: DatabaseSettings,
    credentials: DatabaseCredentials,
}

/// An open connection. Its relay ends with it.
pub(super) struct Session {
    inner: Inner,
    _relay: Relay,
}

enum Inner {
    Postgres(Box<PgConnection>),
    MySql(Box<MySqlConnection>),
}

impl Database {
    fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
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
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.timeout_seconds.into())
    }

    /// Opens a connection to one of the addresses that the host may be called at.
    async fn connect(&self) -> Result<Session, CallFailure> {
        let opening = async {
            let relay = Relay::open(&self.client, self.settings.host(), self.settings.port(self.dialect)).await?;
            let opened = match self.dialect {
                Dialect::PostgreSql => postgres::connect(self, &relay).await.map(Box::new).map(Inner::Postgres),
                Dialect::MySql => mysql::connect(self, &relay).await.map(Box::new).map(Inner::MySql),
            };
            match opened {
                Ok(inner) => Ok(Session { inner, _relay: relay }),
                Err(error) => Err(of_error(self.dialect, &error)),
            }
        };
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(CallFailure::Unavailable("no connection in time".to_owned())));
        opened.map_err(|failure| failure.redacted(&self.connection))
    }

    /// Waits for a statement, and says what its failure means.
    async fn within<T>(&self, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, CallFailure> {
        let done = tokio::time::timeout(self.timeout() + GRACE, statement).await;
        let done = done.map_err(|_| CallFailure::Unavailable("no response in time".to_owned()))?;
        done.map_err(|error| of_error(self.dialect, &error).redacted(&self.connection))
    }
}

impl Session {
    /// Ends the connection in the way of the protocol.
    async fn close(self) {
        // The server ends it as well when the socket closes.
        let _ = match self.inner {
            Inner::Postgres(connection) => connection.close().await,
            Inner::MySql(connection) => connection.close().await,
        };
    }
}

/// A table, with its schema if it is not the default one.
#[derive(Clone, Copy)]
struct Table<'a> {
    schema: Option<&'a str>,
    name: &'a str,
}

impl<'a> Table<'a> {
    fn of(name: &'a str) -> Self {
        match name.split_once('.') {
            Some((schema, name)) => Self { schema: Some(schema), name },
            None => Self { schema: None, name },
        }
    }

    /// The name as statements have it.
    fn quoted(self, dialect: Dialect) -> String {
        let name = quoted(dialect, self.name);
        self.schema.map_or_else(|| name.clone(), |schema| format!("{}.{name}", quoted(dialect, schema)))
    }
}

/// A name as statements have it, whatever its characters are.
fn quoted(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::PostgreSql => format!("\"{}\"", name.replace('"', "\"\"")),
        Dialect::MySql => format!("`{}`", name.replace('`', "``")),
    }
}

/// Names as statements have them, separated by commas.
fn list<'a>(dialect: Dialect, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| quoted(dialect, name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_so_that_they_stay_names() {
        let table = Table::of("s.a\"; drop table b; --");
        assert_eq!(table.quoted(Dialect::PostgreSql), "\"s\".\"a\"\"; drop table b; --\"");
        assert_eq!(Table::of("a`b").quoted(Dialect::MySql), "`a``b`");
    }
}
