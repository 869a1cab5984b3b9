//! Applying the migrations, however many replicas start at once.

use std::time::Duration;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{
        ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, RuntimeErr, Statement,
        sqlx::Error as Sqlx,
    },
};

use crate::{
    Migrator,
    ground::{Ground, Unfit},
};

/// One number for "Nvisy is migrating", shared by all replicas of a database.
const LOCK: i64 = 0x6e76_6973_7900_0001;
const POLL: Duration = Duration::from_millis(100);
/// Longer than any migration may take; a replica that waits longer gives up and says so.
const PATIENCE: Duration = Duration::from_secs(300);
/// PostgreSQL's word for "you may not".
const FORBIDDEN: &str = "42501";

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub enum ApplyError {
    /// Nobody answers, or not to us.
    Unreachable(DbErr),
    /// Nobody answers, or not to the owner of the schema.
    OwnerUnreachable(DbErr),
    /// The server is too old or lacks an extension.
    Unfit(Unfit),
    /// We are not allowed to make tables or to install pgvector.
    Forbidden(DbErr),
    /// The database holds a migration that this binary does not know: it is newer than the binary.
    Newer(String),
    /// Another replica held the migration lock for more than five minutes.
    Locked,
    /// This migration failed, and left nothing behind.
    Failed(String, DbErr),
    /// Rights are to be given to a role that does not exist.
    NoRole(String),
    /// Rights are to be given to the role that owns the schema.
    Owner(String),
    /// The database refused another statement.
    Database(DbErr),
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(_) => f.write_str(
                "PostgreSQL cannot be reached: NVISY_DATABASE_URL must name a running server, with a user, password and \
                 database that it knows",
            ),
            Self::OwnerUnreachable(_) => f.write_str(
                "PostgreSQL cannot be reached: NVISY_MIGRATION_DATABASE_URL must name the server and database of \
                 NVISY_DATABASE_URL, with the user that owns the schema",
            ),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Forbidden(_) => f.write_str(
                "the user of NVISY_DATABASE_URL may not make the schema: let a superuser run `create extension vector; \
                 create extension btree_gin` in the database and make that user its owner; or, where it is to own nothing, let \
                 NVISY_MIGRATION_DATABASE_URL of the API name the owner, and start the API first",
            ),
            Self::Newer(name) => write!(
                f,
                "the database was migrated by a newer version (it has `{name}`): start that version instead, or restore \
                 a backup from before"
            ),
            Self::Locked => f.write_str(
                "another process has been migrating this database for five minutes: look what it does in \
                 pg_stat_activity, and start again when it is done",
            ),
            Self::Failed(name, _) => {
                write!(f, "migration {name} failed and was undone: mend what PostgreSQL complains of, and start again")
            }
            Self::NoRole(role) => {
                write!(f, "there is no role `{role}`: make it first (`create role {role} login password '...'`)")
            }
            Self::Owner(role) => write!(
                f,
                "`{role}` owns the schema: the programs' role must be another, which NVISY_DATABASE_URL names"
            ),
            Self::Database(_) => f.write_str("PostgreSQL did not let the schema be looked at"),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(source)
            | Self::OwnerUnreachable(source)
            | Self::Forbidden(source)
            | Self::Failed(_, source)
            | Self::Database(source) => Some(source),
            Self::Unfit(_) | Self::Newer(_) | Self::Locked | Self::NoRole(_) | Self::Owner(_) => None,
        }
    }
}

impl From<DbErr> for ApplyError {
    fn from(source: DbErr) -> Self {
        Self::Database(source)
    }
}

impl From<Unfit> for ApplyError {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
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

/// Applies what is missing. Safe to call from any number of processes at once: one works, the others wait. Where nothing
/// is missing it only looks, for which a role that owns nothing will do.
///
/// # Errors
/// See [`ApplyError`]. Each migration is one transaction, so a failure leaves none half-applied.
pub async fn apply(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = bring_up(&db).await;
    db.close().await?;
    result
}

async fn bring_up(db: &DatabaseConnection) -> Result<(), ApplyError> {
    let found = applied(db).await?;
    let known = names();
    if let Some(name) = found.iter().find(|name| !known.contains(name)) {
        return Err(ApplyError::Newer(name.clone()));
    }
    if known.iter().all(|name| found.contains(name)) {
        return check(db).await;
    }
    exclusively(db, async |db| {
        for migration in Migrator::get_pending_migrations(db).await? {
            // One after the other, to know which one failed.
            Migrator::up(db, Some(1)).await.map_err(|error| failed(migration.name(), error))?;
        }
        Ok(())
    })
    .await
}

/// Reverts everything: all data is lost.
///
/// # Errors
/// See [`ApplyError`].
pub async fn revert(url: &str) -> Result<(), ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let result = exclusively(&db, async |db| Ok(Migrator::down(db, None).await?)).await;
    db.close().await?;
    result
}

/// What is applied and what is not.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The server.
    pub ground: Ground,
    /// Migrations that the database has, oldest first.
    pub applied: Vec<String>,
    /// Migrations that it lacks.
    pub pending: Vec<String>,
    /// Migrations that it has and this binary does not know.
    pub unknown: Vec<String>,
}

/// Looks at the database and changes nothing.
///
/// # Errors
/// When it cannot be reached or does not answer.
pub async fn examine(url: &str) -> Result<Examination, ApplyError> {
    let db = connect(url).await.map_err(ApplyError::Unreachable)?;
    let ground = Ground::ask(&db).await?;
    let found = applied(&db).await?;
    db.close().await?;
    let known = names();
    Ok(Examination {
        ground,
        pending: known.iter().filter(|name| !found.contains(name)).cloned().collect(),
        unknown: found.iter().filter(|name| !known.contains(name)).cloned().collect(),
        applied: known.into_iter().filter(|name| found.contains(name)).collect(),
    })
}

/// The migrations that the database has.
async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let begun = "select to_regclass('seaql_migrations') is not null as begun";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, begun)).await?;
    let begun = row.map_or(Ok(false), |row| row.try_get("", "begun"))?;
    if !begun {
        return Ok(Vec::new());
    }
    // Not the library's own question, which makes the table first: who only looks may not.
    let versions = "select version from seaql_migrations order by version";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, versions)).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// Whether we understand the server.
async fn check(db: &DatabaseConnection) -> Result<(), ApplyError> {
    let ground = Ground::ask(db).await?;
    ground.check_postgres()?;
    Ok(ground.check_pgvector()?)
}

/// Runs `work` on a connection that holds the lock, on a server and a schema that we understand. The lock belongs to the
/// session: whoever closes the connection releases it.
pub(crate) async fn exclusively(
    db: &DatabaseConnection,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    check(db).await?;
    let deadline = std::time::Instant::now() + PATIENCE;
    // Polled, not awaited in the database: a blocked waiter holds a snapshot, which would hang a concurrent index build.
    while !try_lock(db).await? {
        if std::time::Instant::now() > deadline {
            return Err(ApplyError::Locked);
        }
        tokio::time::sleep(POLL).await;
    }
    refuse_newer(db).await?;
    work(db).await
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
    Migrator::install(db)
        .await
        .map_err(|error| if is_forbidden(&error) { ApplyError::Forbidden(error) } else { error.into() })?;
    let known = names();
    for applied in Migrator::get_migration_models(db).await? {
        if !known.contains(&applied.version) {
            return Err(ApplyError::Newer(applied.version));
        }
    }
    Ok(())
}

fn failed(name: &str, error: DbErr) -> ApplyError {
    if is_forbidden(&error) { ApplyError::Forbidden(error) } else { ApplyError::Failed(name.to_owned(), error) }
}

fn is_forbidden(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    matches!(&**source, Sqlx::Database(refusal) if refusal.code().as_deref() == Some(FORBIDDEN))
}

fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// A name for the schema this binary knows; two binaries with the same migrations agree on it.
#[must_use]
pub fn fingerprint() -> String {
    names().pop().unwrap_or_default()
}
