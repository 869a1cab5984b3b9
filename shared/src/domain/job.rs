//! Jobs as Postgres sees them.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Where a job is. A finished job has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum JobState {
    /// For its time or its workspace's turn.
    Waiting,
    /// Handed to JetStream.
    Queued,
    /// Held by a worker.
    Running,
}

/// What a job mostly needs; each lane is one consumer with its own number of slots, so that a
/// lane full of slow work does not hold up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Reading files: memory and a process of its own.
    Extract,
    /// Calling a model.
    Model,
    /// Sending mail: people wait for it, whatever else there is to do.
    Mail,
}

impl Lane {
    /// Its name in subjects, consumers, metrics and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Model => "model",
            Self::Mail => "mail",
        }
    }
}
