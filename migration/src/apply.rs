//! Applying the migrations, however many replicas start at once.

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement},
};

use crate::Migrator;

/// One number for "Nvisy is migrating", shared by all replicas of a database.
const LOCK: i64 = 0x6e76_6973_7900_0001;
const POLL: Duration = Duration::from_millis(100);
/// Longer than any migration may take; a replica that waits longer gives up and says so.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub enum ApplyError {
    /// The database refused a connection or a statement.
    Database(DbErr),
    /// The database holds a migration that this binary does not know: it is newer than the binary.
    Newer(String),
    /// Another replica held the migration lock for more than five minutes.
    Locked,
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(_) => f.write_str("the database schema could not be migrated"),
            Self::Newer(name) => {
                write!(f, "the database was migrated by a newer version (it has `{name}`): start that version instead")
            }
            Self::Locked => f.write_str("another process has been migrating this database for five minutes"),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(source) => Some(source),
            Self::Newer(_) | Self::Locked => None,
        }
    }
}

impl From<DbErr> for ApplyError {
    fn from(source: DbErr) -> Self {
        Self::Database(source)
    }
}

/// Opens the single connection that migrations run on.
///
/// # Errors
/// When the database cannot be reached within ten seconds.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).connect_timeout(Duration::from_secs(10)).sqlx_logging(false);
    Database::connect(options).await
}

/// Applies what is missing. Safe to call from any number of processes at once: one works, the others wait.
///
/// # Errors
/// See [`ApplyError`]. Each migration is one transaction, so a failure leaves none half-applied.
pub async fn apply(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await?;
    let result = locked(&db).await;
    // The lock belongs to the session, and the pool has one connection: closing it releases the lock.
    db.close().await?;
    result
}

async fn locked(db: &DatabaseConnection) -> Result<(), ApplyError> {
    let deadline = std::time::Instant::now() + PATIENCE;
    // Polled, not awaited in the database: a blocked waiter holds a snapshot, which would hang a concurrent index build.
    while !try_lock(db).await? {
        if std::time::Instant::now() > deadline {
            return Err(ApplyError::Locked);
        }
        tokio::time::sleep(POLL).await;
    }
    refuse_newer(db).await?;
    Migrator::up(db, None).await?;
    Ok(())
}

async fn try_lock(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let row = db
        .query_one_raw(Statement::from_sql_and_values(
            DbBackend::Postgres,
            "select pg_try_advisory_lock($1) as held",
            [LOCK.into()],
        ))
        .await?;
    row.map_or(Ok(false), |row| row.try_get("", "held"))
}

/// A rolling downgrade must not serve a schema it does not understand.
async fn refuse_newer(db: &DatabaseConnection) -> Result<(), ApplyError> {
    Migrator::install(db).await?;
    let known: Vec<String> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
    for applied in Migrator::get_migration_models(db).await? {
        if !known.contains(&applied.version) {
            return Err(ApplyError::Newer(applied.version));
        }
    }
    Ok(())
}

/// A name for the schema this binary knows; two binaries with the same migrations agree on it.
#[must_use]
pub fn fingerprint() -> String {
    let names: Vec<String> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
    names.last().cloned().unwrap_or_default()
}
