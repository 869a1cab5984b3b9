//! Embedding spaces, and the second one of a collection.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The largest number of dimensions of a vector.
pub const MAX_DIMENSIONS: u16 = nvisy_embed::MAX_DIMENSIONS;
/// The largest number of dimensions of an index of [`Quantisation::Half`]: pgvector's limit for `halfvec`.
pub const MAX_HALF_DIMENSIONS: u16 = 4_000;

/// What the index of a space keeps of a vector. The vectors themselves always have two bytes per dimension.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Quantisation {
    /// Its numbers, of two bytes each.
    Half,
    /// The signs of its numbers, one bit each. Searches rank more candidates by their exact distances.
    Binary,
}

impl Quantisation {
    /// The usual one for a number of dimensions.
    #[must_use]
    pub const fn of(dimensions: u16) -> Self {
        if dimensions > MAX_HALF_DIMENSIONS { Self::Binary } else { Self::Half }
    }

    /// Whether vectors of so many dimensions can have it.
    #[must_use]
    pub const fn allows(self, dimensions: u16) -> bool {
        matches!(self, Self::Binary) || dimensions <= MAX_HALF_DIMENSIONS
    }

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::Binary => "binary",
        }
    }
}

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
