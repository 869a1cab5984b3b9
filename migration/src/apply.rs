//! Applies the migrations under a lock, so that any number of processes can start at once.

use std::time::{Duration, Instant};

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement},
};

use crate::{Migrator, SCRIPTS, error::ApplyError, requirements::ServerInfo};

/// The advisory lock of migrations, shared by all processes of a database.
const LOCK_ID: i64 = 0x6e76_6973_7900_0001;
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Longer than any migration may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the single connection that migrations run on.
///
/// # Errors
/// When the database cannot be reached within ten seconds.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).connect_timeout(CONNECT_TIMEOUT).sqlx_logging(false);
    Database::connect(options).await
}

/// Applies pending migrations. Any number of processes can call it at once: one migrates, the others wait. Without pending
/// migrations it only reads, which a role that owns nothing may do.
///
/// # Errors
/// See [`ApplyError`]. Each migration is one transaction, so a failure leaves none half-applied.
pub async fn apply(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = apply_pending(&db).await;
    db.close().await?;
    result
}

async fn apply_pending(db: &DatabaseConnection) -> Result<(), ApplyError> {
    let history = History::read(db).await?;
    history.check()?;
    if history.pending.is_empty() {
        return check_server(db).await;
    }
    with_lock(db, async |db| {
        for migration in Migrator::get_pending_migrations(db).await? {
            // One at a time, to know which one failed.
            Migrator::up(db, Some(1)).await.map_err(|error| ApplyError::of_migration(migration.name(), error))?;
        }
        Ok(())
    })
    .await
}

/// Reverts all migrations: all data is lost.
///
/// # Errors
/// See [`ApplyError`].
pub async fn revert(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = with_lock(&db, async |db| Ok(Migrator::down(db, None).await?)).await;
    db.close().await?;
    result
}

/// The migrations of a database, each list oldest first.
#[derive(Clone, Debug)]
pub struct History {
    /// Applied ones that this program knows.
    pub applied: Vec<String>,
    /// Those that the database lacks.
    pub pending: Vec<String>,
    /// Applied ones that this program does not know.
    pub unknown: Vec<String>,
}

impl History {
    async fn read(db: &DatabaseConnection) -> Result<Self, DbErr> {
        let found = versions(db).await?;
        let (applied, pending) =
            SCRIPTS.iter().map(|script| script.name.to_owned()).partition(|name| found.contains(name));
        let unknown = found.into_iter().filter(|name| SCRIPTS.iter().all(|script| script.name != name)).collect();
        Ok(Self { applied, pending, unknown })
    }

    /// Whether this program can use or migrate the database.
    ///
    /// # Errors
    /// When the database has a migration that this program does not know: after a downgrade, for example.
    pub fn check(&self) -> Result<(), ApplyError> {
        match (self.unknown.first(), self.pending.first()) {
            (None, _) => Ok(()),
            (Some(unknown), None) => Err(ApplyError::Newer(unknown.clone())),
            (Some(unknown), Some(missing)) => Err(ApplyError::Incompatible(unknown.clone(), missing.clone())),
        }
    }
}

/// Reads the server's versions and the database's migrations; changes nothing.
///
/// # Errors
/// When the database cannot be reached or read.
pub async fn status(url: &str) -> Result<(ServerInfo, History), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let status = (ServerInfo::read(&db).await?, History::read(&db).await?);
    db.close().await?;
    Ok(status)
}

/// The names of the applied migrations. Not through the library, which creates its table first: a role that owns nothing
/// may not.
async fn versions(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let exists = "select to_regclass('seaql_migrations') is not null as exists";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, exists)).await?;
    if !row.map_or(Ok(false), |row| row.try_get("", "exists"))? {
        return Ok(Vec::new());
    }
    let versions = "select version from seaql_migrations order by version";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, versions)).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// Whether the server is supported.
async fn check_server(db: &DatabaseConnection) -> Result<(), ApplyError> {
    let server = ServerInfo::read(db).await?;
    server.check_postgres()?;
    Ok(server.check_pgvector()?)
}

/// Runs `work` under the migration lock, on a supported server and a compatible schema. The lock belongs to the database
/// session: closing the connection releases it.
pub(crate) async fn with_lock(
    db: &DatabaseConnection,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    check_server(db).await?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    // Polled, not awaited in the database: a blocked waiter holds a snapshot, which would hang a concurrent index build.
    while !try_lock(db).await? {
        if Instant::now() > deadline {
            return Err(ApplyError::Locked);
        }
        tokio::time::sleep(LOCK_POLL_INTERVAL).await;
    }
    Migrator::install(db).await.map_err(ApplyError::of_owner)?;
    History::read(db).await?.check()?;
    work(db).await
}

async fn try_lock(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let row = db
        .query_one_raw(Statement::from_sql_and_values(
            DbBackend::Postgres,
            "select pg_try_advisory_lock($1) as held",
            [LOCK_ID.into()],
        ))
        .await?;
    row.map_or(Ok(false), |row| row.try_get("", "held"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_migrations_are_newer_or_incompatible() {
        let history = |pending: &[&str], unknown: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            History { applied: Vec::new(), pending: own(pending), unknown: own(unknown) }
        };
        assert!(history(&["a"], &[]).check().is_ok());
        assert!(matches!(history(&[], &["z"]).check(), Err(ApplyError::Newer(name)) if name == "z"));
        let incompatible = history(&["a", "b"], &["y", "z"]).check();
        assert!(matches!(incompatible, Err(ApplyError::Incompatible(y, a)) if (y.as_str(), a.as_str()) == ("y", "a")));
    }
}
