//! Job states and lanes.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The state of a job. A finished job has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum JobState {
    /// Not due yet, or its workspace has reached its limit of jobs in flight.
    Waiting,
    /// Published to JetStream.
    Queued,
    /// Leased by a worker.
    Running,
}

/// The resource that a job mainly uses. Each lane is one consumer with its own number of slots, so that slow jobs of one
/// lane do not block another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Extraction of files: memory and a child process.
    Extract,
    /// Calls of a model.
    Model,
    /// Reading of connections: networks and other systems. Apart from extraction, so that a sync delays no upload.
    Source,
    /// Mail: people wait for it, so it must not queue behind files.
    Mail,
}

impl Lane {
    /// The identifier in subjects, consumers, metrics and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Model => "model",
            Self::Source => "source",
            Self::Mail => "mail",
        }
    }
}
