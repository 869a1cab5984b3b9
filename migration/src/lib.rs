//! The database schema, as an ordered list of migrations that never change once released.
//!
//! One file per group of tables. This crate knows nothing of the others: it is frozen history.

mod apply;
mod grant;
mod ground;
mod m0001_accounts;
mod m0002_workspaces;
mod m0003_files;
mod m0004_pipelines;
mod m0005_chunks;
mod m0006_jobs;
mod m0007_events;
mod m0008_idempotency;
mod m0009_lexemes_in_row;
mod m0010_installation;
mod m0011_sessions;
mod m0012_account_life;
mod m0013_api_tokens;
mod m0014_factors_and_mail;
mod m0015_activity;
mod m0016_workspace_life;
mod m0017_invites;
mod m0018_usage;
mod m0020_limits;
mod m0021_claims;
mod m0024_invite_mail;
mod m0025_account_activity;
mod m0026_default_space;
mod m0027_event_retention;
mod m0028_chores;
mod m0030_notices;
mod m0033_addresses;
mod m0034_rights;
mod m0035_admissions;
mod m0036_networks;

pub use apply::{ApplyError, Examination, apply, connect, examine, fingerprint, revert};
pub use grant::{apply_as, grant};
pub use ground::{Ground, Unfit};
use sea_orm_migration::{prelude::*, sea_orm::ConnectionTrait};

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_workspaces::Migration),
            Box::new(m0003_files::Migration),
            Box::new(m0004_pipelines::Migration),
            Box::new(m0005_chunks::Migration),
            Box::new(m0006_jobs::Migration),
            Box::new(m0007_events::Migration),
            Box::new(m0008_idempotency::Migration),
            Box::new(m0009_lexemes_in_row::Migration),
            Box::new(m0010_installation::Migration),
            Box::new(m0011_sessions::Migration),
            Box::new(m0012_account_life::Migration),
            Box::new(m0013_api_tokens::Migration),
            Box::new(m0014_factors_and_mail::Migration),
            Box::new(m0015_activity::Migration),
            Box::new(m0016_workspace_life::Migration),
            Box::new(m0017_invites::Migration),
            Box::new(m0018_usage::Migration),
            Box::new(m0020_limits::Migration),
            Box::new(m0021_claims::Migration),
            Box::new(m0024_invite_mail::Migration),
            Box::new(m0025_account_activity::Migration),
            Box::new(m0026_default_space::Migration),
            Box::new(m0027_event_retention::Migration),
            Box::new(m0028_chores::Migration),
            Box::new(m0030_notices::Migration),
            Box::new(m0033_addresses::Migration),
            Box::new(m0034_rights::Migration),
            Box::new(m0035_admissions::Migration),
            Box::new(m0036_networks::Migration),
        ]
    }
}

async fn script(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(drop)
}

/// Declares a migration from two SQL scripts.
///
/// The schema is written in SQL because composite foreign keys, generated columns, partial indexes
/// and `halfvec` are exactly what a query builder would hide.
macro_rules! migration {
    ($name:literal, up: $up:expr, down: $down:expr $(,)?) => {
        #[derive(Debug)]
        pub(crate) struct Migration;

        impl sea_orm_migration::prelude::MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[sea_orm_migration::prelude::async_trait::async_trait]
        impl sea_orm_migration::prelude::MigrationTrait for Migration {
            async fn up(
                &self,
                manager: &sea_orm_migration::prelude::SchemaManager,
            ) -> Result<(), sea_orm_migration::prelude::DbErr> {
                crate::script(manager, $up).await
            }

            async fn down(
                &self,
                manager: &sea_orm_migration::prelude::SchemaManager,
            ) -> Result<(), sea_orm_migration::prelude::DbErr> {
                crate::script(manager, $down).await
            }
        }
    };
}
pub(crate) use migration;
