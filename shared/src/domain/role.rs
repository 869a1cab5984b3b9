//! Who may do what in a workspace.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// A member's role; each includes the ones before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and searches.
    Guest,
    /// Adds and deletes files.
    Member,
    /// Manages people and settings.
    Admin,
    /// Owns the workspace.
    Owner,
}

/// What can be allowed or not. A closed list: an operation names the one it needs in its argument type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
pub enum Permission {
    /// See the workspace itself.
    ReadWorkspace,
    /// See files, their content and progress, and the event log.
    ReadFiles,
    /// Upload and delete files.
    WriteFiles,
    /// Search.
    Search,
    /// Read and export the activity log.
    ReadActivities,
}

impl Permission {
    /// The least role that has this permission.
    #[must_use]
    pub const fn least_role(self) -> Role {
        match self {
            Self::ReadWorkspace | Self::ReadFiles | Self::Search => Role::Guest,
            Self::WriteFiles => Role::Member,
            Self::ReadActivities => Role::Admin,
        }
    }
}
