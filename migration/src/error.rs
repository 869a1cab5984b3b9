//! Why the schema could not be migrated.

use sea_orm_migration::{
    prelude::DbErr,
    sea_orm::{RuntimeErr, sqlx::Error as Sqlx},
};

use crate::requirements::Unsupported;

/// PostgreSQL's error code for a missing privilege.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Why the schema could not be migrated.
#[derive(Debug)]
pub enum ApplyError {
    /// The database does not accept the connection.
    Unreachable(DbErr),
    /// The database does not accept the connection of the schema's owner.
    OwnerUnreachable(DbErr),
    /// The server is too old or lacks an extension.
    Unsupported(Unsupported),
    /// The role may not create tables or install pgvector.
    Forbidden(DbErr),
    /// The database has every migration of this program and this one, which the program does not know.
    Newer(String),
    /// The database has the first migration, which this program does not know, and lacks the second one of this program.
    Incompatible(String, String),
    /// Another process held the migration lock until the time-out.
    Locked,
    /// This migration failed; its transaction was rolled back.
    Failed(String, DbErr),
    /// The role of a grant does not exist.
    NoRole(String),
    /// The role of a grant owns the schema.
    Owner(String),
    /// Another statement failed.
    Database(DbErr),
}

impl ApplyError {
    /// An error of a statement that needs the privileges of the schema's owner.
    pub(crate) fn of_owner(source: DbErr) -> Self {
        if is_forbidden(&source) { Self::Forbidden(source) } else { Self::Database(source) }
    }

    /// An error of a migration.
    pub(crate) fn of_migration(name: &str, source: DbErr) -> Self {
        if is_forbidden(&source) { Self::Forbidden(source) } else { Self::Failed(name.to_owned(), source) }
    }
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(_) => f.write_str(
                "PostgreSQL cannot be reached: NVISY_DATABASE_URL must name a running server and a user, password and \
                 database that exist there",
            ),
            Self::OwnerUnreachable(_) => f.write_str(
                "PostgreSQL cannot be reached: NVISY_MIGRATION_DATABASE_URL must name the server and database of \
                 NVISY_DATABASE_URL and the user that owns the schema",
            ),
            Self::Unsupported(unsupported) => unsupported.fmt(f),
            Self::Forbidden(_) => f.write_str(
                "the user of NVISY_DATABASE_URL may not create the schema: a superuser must run `create extension vector; \
                 create extension btree_gin` in the database and make that user its owner; for a user that owns nothing, \
                 NVISY_MIGRATION_DATABASE_URL of the API must name the owner, and the API must start first",
            ),
            Self::Newer(name) => write!(
                f,
                "the database was migrated by a newer version (it has `{name}`): start that version instead, or restore \
                 a backup from before"
            ),
            Self::Incompatible(unknown, missing) => write!(
                f,
                "the database belongs to another line of versions: it has the migration `{unknown}`, which this \
                 version does not know, and lacks `{missing}`; databases from before 0.1.0 cannot be migrated: \
                 NVISY_DATABASE_URL must name an empty database"
            ),
            Self::Locked => f.write_str(
                "another process has been migrating this database for five minutes: find it in pg_stat_activity, and \
                 start again when it has finished",
            ),
            Self::Failed(name, _) => write!(
                f,
                "migration {name} failed and was rolled back: remove the cause that PostgreSQL reports, and start again"
            ),
            Self::NoRole(role) => {
                write!(f, "there is no role `{role}`: create it first (`create role {role} login password '...'`)")
            }
            Self::Owner(role) => {
                write!(f, "`{role}` owns the schema: NVISY_DATABASE_URL of the programs must name another role")
            }
            Self::Database(_) => f.write_str("PostgreSQL rejected a statement about the schema"),
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
            Self::Unsupported(_)
            | Self::Newer(_)
            | Self::Incompatible(..)
            | Self::Locked
            | Self::NoRole(_)
            | Self::Owner(_) => None,
        }
    }
}

impl From<DbErr> for ApplyError {
    fn from(source: DbErr) -> Self {
        Self::Database(source)
    }
}

impl From<Unsupported> for ApplyError {
    fn from(unsupported: Unsupported) -> Self {
        Self::Unsupported(unsupported)
    }
}

fn is_forbidden(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    matches!(&**source, Sqlx::Database(error) if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE))
}
