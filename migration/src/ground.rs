//! What the schema stands on: the server's version and its extensions.

use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

/// The oldest server: PostgreSQL 18.
const POSTGRES: i32 = 180_000;
/// The oldest pgvector: before it a search with a filter comes up short.
const PGVECTOR: (u32, u32) = (0, 8);

/// The server and its extensions.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The server's version, as it says it.
    pub postgres: String,
    number: i32,
    /// The version of pgvector that this database has, or else could have.
    pub pgvector: Option<String>,
    /// Whether this database has it.
    pub installed: bool,
}

/// Why the schema cannot stand here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentences say it")]
pub enum Unfit {
    OldPostgres(String),
    NoPgvector,
    OldPgvector(String),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OldPostgres(version) => write!(
                f,
                "PostgreSQL {version} is too old: NVISY_DATABASE_URL must name a server of version 18 or newer"
            ),
            Self::NoPgvector => f.write_str(
                "this PostgreSQL server has no pgvector: install it there (Debian: postgresql-18-pgvector; image: \
                 pgvector/pgvector:pg18), or let NVISY_DATABASE_URL name a server that has it",
            ),
            Self::OldPgvector(version) => write!(
                f,
                "pgvector {version} is too old: install 0.8 or newer on the PostgreSQL server, and run \
                 `alter extension vector update` in the database"
            ),
        }
    }
}

impl Ground {
    /// Asks the server; changes nothing.
    pub(crate) async fn ask(db: &DatabaseConnection) -> Result<Self, DbErr> {
        let question = "select current_setting('server_version') as postgres,
                current_setting('server_version_num')::int as number,
                (select extversion from pg_extension where extname = 'vector') as installed,
                (select default_version from pg_available_extensions where name = 'vector') as available";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await?;
        let row = row.ok_or_else(|| DbErr::Custom("the server does not say its version".to_owned()))?;
        let installed: Option<String> = row.try_get("", "installed")?;
        let available: Option<String> = row.try_get("", "available")?;
        Ok(Self {
            postgres: row.try_get("", "postgres")?,
            number: row.try_get("", "number")?,
            installed: installed.is_some(),
            pgvector: installed.or(available),
        })
    }

    /// Whether the server is new enough.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_postgres(&self) -> Result<(), Unfit> {
        if self.number < POSTGRES { Err(Unfit::OldPostgres(self.postgres.clone())) } else { Ok(()) }
    }

    /// Whether there is a pgvector, and one that is new enough.
    ///
    /// # Errors
    /// When there is not.
    pub fn check_pgvector(&self) -> Result<(), Unfit> {
        let version = self.pgvector.as_ref().ok_or(Unfit::NoPgvector)?;
        if parts(version) < PGVECTOR { Err(Unfit::OldPgvector(version.clone())) } else { Ok(()) }
    }
}

fn parts(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let ground = |number, pgvector: Option<&str>| Ground {
            postgres: "x".to_owned(),
            number,
            pgvector: pgvector.map(str::to_owned),
            installed: true,
        };
        assert!(ground(180_006, Some("0.8.6")).check_postgres().is_ok());
        assert_eq!(ground(170_010, None).check_postgres(), Err(Unfit::OldPostgres("x".to_owned())));
        assert!(ground(0, Some("0.10.0")).check_pgvector().is_ok());
        assert_eq!(ground(0, Some("0.7.4")).check_pgvector(), Err(Unfit::OldPgvector("0.7.4".to_owned())));
        assert_eq!(ground(0, None).check_pgvector(), Err(Unfit::NoPgvector));
    }
}
