//! The states of a pipeline.

use json_schema::JsonSchema;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The state of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// Being written; no trigger starts it.
    Draft,
    /// Its triggers start runs.
    Enabled,
    /// No trigger starts it; its runs in progress go on.
    Disabled,
}

impl PipelineState {
    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}
