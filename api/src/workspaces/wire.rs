//! What the workspace operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::rules::text;

/// A new workspace; the caller owns it.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub(crate) struct CreateWorkspace {
    /// What people call it; need not be unique.
    #[garde(custom(text(1, 100)))]
    #[schemars(length(min = 1, max = 100))]
    pub(crate) name: String,
}

fn create_example() -> Value {
    json!({ "name": "Tidal energy" })
}

/// A workspace, as the caller sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Workspace {
    /// Its name for ever: `{ws}` in paths.
    pub(crate) id: Uuid,
    /// What people call it.
    pub(crate) name: String,
    /// The caller's role in it.
    pub(crate) role: Role,
    /// When it was created.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last changed.
    pub(crate) updated_at: DateTime<Utc>,
}

/// What a member may do; each role includes the ones before it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Reads and searches.
    Guest,
    /// Adds and deletes files.
    Member,
    /// Manages people and settings.
    Admin,
    /// Owns the workspace.
    Owner,
}

impl From<store::workspace::Workspace> for Workspace {
    fn from(workspace: store::workspace::Workspace) -> Self {
        Self {
            id: workspace.id.0,
            name: workspace.name,
            role: workspace.role.into(),
            created_at: workspace.created_at,
            updated_at: workspace.updated_at,
        }
    }
}

impl From<domain::role::Role> for Role {
    fn from(role: domain::role::Role) -> Self {
        match role {
            domain::role::Role::Guest => Self::Guest,
            domain::role::Role::Member => Self::Member,
            domain::role::Role::Admin => Self::Admin,
            domain::role::Role::Owner => Self::Owner,
        }
    }
}
