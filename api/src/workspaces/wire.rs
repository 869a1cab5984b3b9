//! What the workspace operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{domain, id::SpaceId, store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{LimitsChange, SettingsChange};
use crate::http::validation::{self, nullable, text};

/// A new workspace; the caller owns it.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateWorkspace {
    /// What people call it; need not be unique.
    #[garde(custom(text(1, 100)))]
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// A short name for addresses that no other workspace has; made of the name where it is absent.
    #[garde(inner(custom(validation::slug)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub slug: Option<String>,
}

/// What is to change of a workspace; what is absent stays.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeWorkspace {
    /// What people call it.
    #[garde(inner(custom(text(1, 100))))]
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    /// A short name for addresses that no other workspace has.
    #[garde(inner(custom(validation::slug)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub slug: Option<String>,
    /// Files are deleted this many days after they were uploaded; `null`: never.
    #[garde(inner(inner(range(min = 1, max = 36500))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 36500))]
    pub retention_days: Option<Option<i32>>,
    /// Lower limits than the deployment's own.
    #[garde(dive)]
    pub limits: Option<ChangeLimits>,
    /// The embedding space to search by meaning from now on: the one that this server computes vectors of. Files indexed in
    /// another are found by words, and not by meaning until they are uploaded again.
    #[garde(skip)]
    pub default_space_id: Option<Uuid>,
}

/// What is to change of the limits; what is absent stays, `null` is no limit but the deployment's own.
#[derive(Debug, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeLimits {
    /// Most files.
    #[garde(inner(inner(range(min = 0))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub files: Option<Option<i64>>,
    /// Most bytes of all versions of all files.
    #[garde(inner(inner(range(min = 0))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub bytes: Option<Option<i64>>,
    /// Most chunks.
    #[garde(inner(inner(range(min = 0))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub chunks: Option<Option<i64>>,
    /// Most runs that are not finished.
    #[garde(inner(inner(range(min = 0))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub runs: Option<Option<i64>>,
}

impl From<ChangeWorkspace> for SettingsChange {
    fn from(body: ChangeWorkspace) -> Self {
        let limits = body.limits.map(|limits| LimitsChange {
            files: limits.files,
            bytes: limits.bytes,
            chunks: limits.chunks,
            runs: limits.runs,
        });
        Self {
            name: body.name,
            slug: body.slug,
            retention_days: body.retention_days,
            limits: limits.unwrap_or_default(),
            default_space_id: body.default_space_id.map(SpaceId),
        }
    }
}

fn change_example() -> Value {
    json!({ "name": "Tidal energy", "retentionDays": 365, "limits": { "files": 10000, "bytes": null } })
}

fn create_example() -> Value {
    json!({ "name": "Tidal energy" })
}

/// A workspace, as the caller sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// Its name for ever: `{ws}` in paths.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// A short name for addresses.
    pub slug: String,
    /// The caller's role in it.
    pub role: Role,
    /// Files are deleted this many days after they were uploaded; never where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i32>,
    /// Limits that the workspace has set itself.
    pub limits: Limits,
    /// Where its vectors are written and searched; absent until the first are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_space: Option<DefaultSpace>,
    /// Counts the changes; the `ETag`.
    pub revision: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What makes vectors comparable.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultSpace {
    /// Its name for ever.
    pub id: Uuid,
    /// Who computes the vectors: `local` or `openai`.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Length of a vector.
    pub dimensions: i32,
}

/// Limits that a workspace has set itself; where one is absent, the deployment's own holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Most files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Most bytes of all versions of all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Most chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<i64>,
    /// Most runs that are not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<i64>,
}

/// What a member may do; each role includes the ones before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
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

impl From<store::workspace::Workspace> for Workspace {
    fn from(workspace: store::workspace::Workspace) -> Self {
        let space = workspace.space_id.zip(workspace.space_provider);
        let space = space.zip(workspace.space_model).zip(workspace.space_dimensions);
        let default_space =
            space.map(|(((id, provider), model), dimensions)| DefaultSpace { id: id.0, provider, model, dimensions });
        Self {
            id: workspace.id.0,
            name: workspace.name,
            slug: workspace.slug,
            role: workspace.role.into(),
            retention_days: workspace.retention_days,
            limits: Limits {
                files: workspace.limit_files,
                bytes: workspace.limit_bytes,
                chunks: workspace.limit_chunks,
                runs: workspace.limit_runs,
            },
            default_space,
            revision: workspace.revision,
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

impl From<Role> for domain::role::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Guest => Self::Guest,
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}
