//! Database access: free functions over a connection or a transaction; the tenant is the first parameter.
//!
//! A function that takes [`Tx`] is one step of a larger atomic [`change`]; one that takes [`Conn`] is complete in itself.
//! Every function returns the database's error; further errors are documented on the function.

pub mod account;
pub mod activity;
pub mod api_token;
pub mod artifact;
pub mod avatar;
pub mod change;
pub mod chunk;
pub mod collection;
pub mod connection;
pub mod connection_query;
pub mod credential;
mod db;
pub mod db_privileges;
pub mod derived;
pub mod embedding_speed;
pub mod evaluation;
pub mod event;
pub mod external_target;
pub mod failed_items;
pub mod file;
pub mod fingerprint;
pub mod history;
pub mod idempotency;
pub mod installation;
pub mod invite;
pub mod item_log;
pub mod job;
pub mod job_space;
pub mod job_wait;
pub mod locks;
pub mod lost_job;
pub mod mail;
pub mod maintenance_lease;
pub mod member;
pub mod model_usage;
pub mod node_call;
pub mod pipeline;
pub mod posting;
pub mod processing;
pub mod query_sample;
pub mod query_set;
pub mod rate_limit;
pub mod run;
pub mod run_item;
pub mod run_list;
pub mod schema;
pub mod search;
pub mod second_space;
pub mod selection;
pub mod session;
pub mod sign_up_permit;
pub mod signing;
pub mod snapshot;
pub mod source_fetch;
pub mod source_listener;
pub mod source_notification;
pub mod source_object;
pub mod space;
pub mod space_index;
pub mod space_usage;
mod sql;
pub mod staleness;
#[cfg(all(test, feature = "testing"))]
mod statements;
pub mod succession;
pub mod sync_run;
pub mod synced_file;
pub mod synonyms;
pub mod target;
pub mod totp;
mod transaction;
pub mod usage;
pub mod workspace;

use std::{borrow::Cow, time::Duration};

use sea_orm::{ConnectOptions, Database, RuntimeErr, raw_sql, sqlx::Error as Sqlx};
pub use sea_orm::{ConnectionTrait as Conn, DatabaseTransaction as Tx, DbErr as Error};

pub use self::{db::Db, transaction::TransactionTrait};
use crate::config;

/// A row of a raw query, for tests that check the database directly.
#[cfg(feature = "testing")]
pub use sea_orm::QueryResult as Row;

/// A statement without parameters.
#[cfg(feature = "testing")]
#[must_use]
pub fn statement(sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)
}

/// The result of every function here; the error is the database's.
pub type Result<T> = std::result::Result<T, Error>;

/// Parameters of each connection. They are set once per connection, not per query, so that a search is one round trip.
const CONNECTION_PARAMETERS: [(&str, &str); 3] = [
    ("hnsw.ef_search", "100"),
    // Otherwise a filter is applied to the first `ef_search` rows only, and a search returns too few hits.
    ("hnsw.iterative_scan", "relaxed_order"),
    ("hnsw.max_scan_tuples", "40000"),
];

/// The pool tests a connection before use if it was idle for at least this long. Busy connections are not tested: a test is
/// a round trip, which takes as long as a short statement.
const IDLE_BEFORE_TEST: Duration = Duration::from_secs(1);

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the same statement may succeed later: the database is unreachable, restarting, or out of connections or disk
/// space, or two transactions conflicted.
#[must_use]
pub fn is_transient(error: &Error) -> bool {
    // SQLSTATE classes: connection failure, deadlock or serialisation failure, insufficient resources, shutdown.
    const CLASSES: [&str; 4] = ["08", "40", "53", "57P"];
    match driver_error(error) {
        Some(Sqlx::Io(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed) => true,
        Some(_) => sqlstate(error).is_some_and(|code| CLASSES.iter().any(|class| code.starts_with(class))),
        None => matches!(error, Error::ConnectionAcquire(_)),
    }
}

/// Whether the database's disk is full.
#[must_use]
pub fn is_full(error: &Error) -> bool {
    sqlstate(error).is_some_and(|code| code == "53100")
}

/// Whether PostgreSQL has aborted the transaction because of a concurrent one: a deadlock, or a serialisation failure. It has
/// written nothing, and may succeed when it is repeated. Searches the causes of the error, too.
#[must_use]
pub fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
    const CODES: [&str; 2] = ["40P01", "40001"];
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<Error>())
        .any(|error| sqlstate(error).is_some_and(|code| CODES.contains(&&*code)))
}

/// PostgreSQL's code of an error.
fn sqlstate(error: &Error) -> Option<Cow<'_, str>> {
    match driver_error(error)? {
        Sqlx::Database(error) => error.code(),
        _ => None,
    }
}

fn driver_error(error: &Error) -> Option<&Sqlx> {
    match error {
        Error::Conn(RuntimeErr::SqlxError(error))
        | Error::Exec(RuntimeErr::SqlxError(error))
        | Error::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Opens the connection pool.
///
/// # Errors
/// When the database cannot be reached within ten seconds.
pub async fn connect(settings: &config::DatabaseConfig) -> Result<Db> {
    let mut options = ConnectOptions::new(settings.url.expose());
    options
        .max_connections(settings.connections)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire_if_idle_for(IDLE_BEFORE_TEST)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| options.application_name("nvisy").options(CONNECTION_PARAMETERS));
    Ok(Db::new(Database::connect(options).await?))
}

/// The settings of the server that let it confirm a commit before the commit is on disk.
pub async fn lossy_settings(db: &Db) -> Result<Vec<String>> {
    let settings = raw_sql!(
        Postgres,
        "select name from unnest(array['fsync', 'synchronous_commit']) name where current_setting(name) = 'off' order by name"
    );
    sql::all_values(db, settings).await
}

/// The time of the database's clock, in seconds since 1970.
pub async fn clock_seconds(db: &Db) -> Result<f64> {
    let clock = raw_sql!(Postgres, "select extract(epoch from clock_timestamp())::float8");
    Ok(sql::first_value(db, clock).await?.unwrap_or_default())
}
