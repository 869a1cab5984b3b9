//! A migration as two SQL scripts.

use sea_orm_migration::{prelude::*, sea_orm::ConnectionTrait};

/// One migration. SQL, because a query builder would hide composite foreign keys, generated columns, partial indexes and
/// `halfvec`.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Script {
    /// The name of its file, by which databases remember it.
    pub(crate) name: &'static str,
    /// Creates the group's tables.
    pub(crate) up: &'static str,
    /// Drops them with all data.
    pub(crate) down: &'static str,
}

impl MigrationName for Script {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Script {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.down).await.map(drop)
    }
}
