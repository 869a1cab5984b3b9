//! What the schema requires: the versions of PostgreSQL and pgvector.

use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

/// PostgreSQL 18.
const MIN_POSTGRES_VERSION: i32 = 180_000;
/// Older versions return too few rows for a search with a filter.
const MIN_PGVECTOR_VERSION: (u32, u32) = (0, 8);

/// The versions of a server and its pgvector.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The server's version as text.
    pub postgres: String,
    /// The server's version as a number: 180006 is 18.6.
    version: i32,
    /// The version of pgvector installed in this database, or else available on the server.
    pub pgvector: Option<String>,
    /// Whether pgvector is installed in this database.
    pub installed: bool,
}

/// Why the server cannot hold the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum Unsupported {
    OldPostgres(String),
    NoPgvector,
    OldPgvector(String),
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OldPostgres(version) => write!(
                f,
                "PostgreSQL {version} is too old: NVISY_DATABASE_URL must name a server of version 18 or newer"
            ),
            Self::NoPgvector => f.write_str(
                "this PostgreSQL server has no pgvector: install it there (Debian: postgresql-18-pgvector; image: \
                 pgvector/pgvector:pg18), or change NVISY_DATABASE_URL to a server that has it",
            ),
            Self::OldPgvector(version) => write!(
                f,
                "pgvector {version} is too old: install 0.8 or newer on the PostgreSQL server, and run \
                 `alter extension vector update` in the database"
            ),
        }
    }
}

impl ServerInfo {
    /// Reads the versions; changes nothing.
    pub(crate) async fn read(db: &DatabaseConnection) -> Result<Self, DbErr> {
        let versions = "select current_setting('server_version') as postgres,
                current_setting('server_version_num')::int as version,
                (select extversion from pg_extension where extname = 'vector') as installed,
                (select default_version from pg_available_extensions where name = 'vector') as available";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, versions)).await?;
        let row = row.ok_or_else(|| DbErr::Custom("the server does not report its version".to_owned()))?;
        let installed: Option<String> = row.try_get("", "installed")?;
        let available: Option<String> = row.try_get("", "available")?;
        Ok(Self {
            postgres: row.try_get("", "postgres")?,
            version: row.try_get("", "version")?,
            installed: installed.is_some(),
            pgvector: installed.or(available),
        })
    }

    /// Whether the server is new enough.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_postgres(&self) -> Result<(), Unsupported> {
        if self.version < MIN_POSTGRES_VERSION { Err(Unsupported::OldPostgres(self.postgres.clone())) } else { Ok(()) }
    }

    /// Whether pgvector is available and new enough.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_pgvector(&self) -> Result<(), Unsupported> {
        let version = self.pgvector.as_ref().ok_or(Unsupported::NoPgvector)?;
        if major_minor(version) < MIN_PGVECTOR_VERSION {
            Err(Unsupported::OldPgvector(version.clone()))
        } else {
            Ok(())
        }
    }
}

fn major_minor(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let server = |version, pgvector: Option<&str>| ServerInfo {
            postgres: "x".to_owned(),
            version,
            pgvector: pgvector.map(str::to_owned),
            installed: true,
        };
        assert!(server(180_006, Some("0.8.6")).check_postgres().is_ok());
        assert_eq!(server(170_010, None).check_postgres(), Err(Unsupported::OldPostgres("x".to_owned())));
        assert!(server(0, Some("0.10.0")).check_pgvector().is_ok());
        assert_eq!(server(0, Some("0.7.4")).check_pgvector(), Err(Unsupported::OldPgvector("0.7.4".to_owned())));
        assert_eq!(server(0, None).check_pgvector(), Err(Unsupported::NoPgvector));
    }
}
