//! The second embedding space of a collection.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// How far the second space of a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SecondSpaceState {
    /// Vectors of existing chunks are computed; new chunks get vectors in both spaces.
    Running,
    /// Nothing is computed for it.
    Paused,
    /// The work failed finally; it can be resumed.
    Failed,
    /// Every chunk has its vector in both spaces.
    Ready,
    /// Its vectors are being deleted.
    Deleting,
}

impl SecondSpaceState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Running, Self::Paused, Self::Failed, Self::Ready, Self::Deleting];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Ready => "ready",
            Self::Deleting => "deleting",
        }
    }
}
