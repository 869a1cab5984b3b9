//! Runs of pipelines.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// No segment has started.
    Queued,
    /// At least one segment has started.
    Running,
    /// Every item is done.
    Completed,
    /// An item failed.
    Failed,
}
