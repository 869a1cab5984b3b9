//! State: free functions over a connection or a transaction, tenant first.
//!
//! A function that takes [`Tx`] is a step of something larger that must happen as a whole;
//! one that takes [`Conn`] stands alone. Every function returns the error of the database; what else can go wrong stands
//! in its documentation.

pub mod account;
pub mod activity;
pub mod api_token;
pub mod avatar;
pub mod chunk;
pub mod credential;
pub mod db_privileges;
pub mod event;
pub mod file;
pub mod idempotency;
pub mod installation;
pub mod invite;
pub mod job;
pub mod limit;
pub mod mail;
pub mod maintenance_lease;
pub mod member;
pub mod run;
pub mod schema;
pub mod search;
pub mod session;
pub mod sign_up_permit;
pub mod space;
mod sql;
pub mod succession;
pub mod totp;
pub mod usage;
pub mod workspace;

use std::time::Duration;

use sea_orm::{ConnectOptions, Database};
pub use sea_orm::{
    ConnectionTrait as Conn, DatabaseConnection as Db, DatabaseTransaction as Tx, DbErr as Error, TransactionTrait,
};

use crate::config;

/// A row and a statement, for tests that look behind the API.
#[cfg(feature = "testing")]
pub use sea_orm::QueryResult as Row;

/// A statement without parameters.
#[cfg(feature = "testing")]
#[must_use]
pub fn statement(sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)
}

/// What every function here returns; an error is the database's own.
pub type Result<T> = std::result::Result<T, Error>;

/// Candidates an HNSW scan keeps in view. Set once per connection, not per query: search stays one round trip.
const SESSION: [(&str, &str); 3] = [
    ("hnsw.ef_search", "100"),
    // Without it a filter is applied to the first `ef_search` rows only and answers come up short.
    ("hnsw.iterative_scan", "relaxed_order"),
    ("hnsw.max_scan_tuples", "40000"),
];

/// A connection that was idle for this long is asked whether it still works before it is used. Those in steady use are
/// not: the question is a round trip, as long as many a statement.
const TRUSTED: Duration = Duration::from_secs(1);

/// Whether the same statement may succeed later: the database is away, restarting or short of connections or room, or
/// two transactions stood in each other's way.
#[must_use]
pub fn is_transient(error: &Error) -> bool {
    use sea_orm::{RuntimeErr, sqlx::Error as Sqlx};
    // Connection failures, deadlocks and serialisation failures, a lack of something, shutdown.
    const CLASSES: [&str; 4] = ["08", "40", "53", "57P"];
    let (Error::Conn(source) | Error::Exec(source) | Error::Query(source)) = error else {
        return matches!(error, Error::ConnectionAcquire(_));
    };
    match source {
        RuntimeErr::SqlxError(error) => match &**error {
            Sqlx::Io(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed => true,
            Sqlx::Database(error) => {
                error.code().is_some_and(|code| CLASSES.iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        },
        RuntimeErr::Internal(_) => false,
    }
}

/// Whether the database's disk is full.
#[must_use]
pub fn is_full(error: &Error) -> bool {
    use sea_orm::{RuntimeErr, sqlx::Error as Sqlx};
    let (Error::Exec(RuntimeErr::SqlxError(error)) | Error::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    matches!(&**error, Sqlx::Database(error) if error.code().is_some_and(|code| code == "53100"))
}

/// Opens the pool.
///
/// # Errors
/// When the database cannot be reached within ten seconds.
pub async fn connect(settings: &config::DatabaseConfig) -> Result<Db> {
    let mut options = ConnectOptions::new(settings.url.expose());
    options
        .max_connections(settings.connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire_if_idle_for(TRUSTED)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| options.application_name("nvisy").options(SESSION));
    Database::connect(options).await
}

/// How many of the pool's connections are in use, and how many are not.
#[must_use]
pub fn pool_use(db: &Db) -> (u64, u64) {
    let pool = db.get_postgres_connection_pool();
    let idle = pool.num_idle() as u64;
    (u64::from(pool.size()).saturating_sub(idle), idle)
}

/// What the database's clock says, in seconds since 1970.
pub async fn clock(db: &Db) -> Result<f64> {
    #[derive(sea_orm::FromQueryResult)]
    struct Clock {
        now: f64,
    }
    let row: Option<Clock> = sql::first(db, "select extract(epoch from clock_timestamp())::float8 as now", []).await?;
    Ok(row.map_or(0.0, |row| row.now))
}

/// Whether the database answers.
///
/// # Errors
/// When it does not.
pub async fn ping(db: &Db) -> Result<()> {
    db.ping().await
}
