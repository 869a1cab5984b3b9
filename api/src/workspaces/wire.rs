//! Requests and responses of the workspace operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::{self, connection::model::micros},
    store,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{LimitsChange, SettingsChange};
use crate::http::{
    string_schema::Text,
    validation::{self, nullable, present, text},
};

/// The largest limit: the largest integer that every JSON library reads exactly.
const MAX_LIMIT: i64 = 9_007_199_254_740_991;
/// The largest budget: that of a connection.
const MAX_BUDGET: f64 = 1e9;

/// A request for a new workspace, which the caller will own.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateWorkspace {
    /// The display name, which need not be unique.
    #[garde(custom(text(1, 100)))]
    #[schemars(with = "Text<1, 100>")]
    pub name: String,
    /// A short name for URLs, unique among workspaces; absent: derived from the name.
    #[garde(inner(custom(validation::slug)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub slug: Option<String>,
}

/// Changes of a workspace; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeWorkspace {
    /// The display name.
    #[garde(inner(custom(text(1, 100))))]
    #[schemars(with = "Option<Text<1, 100>>")]
    pub name: Option<String>,
    /// A short name for URLs, unique among workspaces.
    #[garde(inner(custom(validation::slug)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub slug: Option<String>,
    /// The number of days after the upload of its newest version at which a file is deleted; `null`: files are kept.
    #[garde(inner(inner(range(min = 1, max = 36500))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 36500))]
    pub retention_days: Option<Option<i32>>,
    /// Limits of the workspace, below those of the deployment.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ChangeLimits")]
    pub limits: Option<ChangeLimits>,
    /// The largest cost of model calls in a calendar month (UTC), of all connections together, in the currency of their
    /// prices; `null`: no limit. Beyond it runs fail with `budget_exceeded`.
    #[garde(inner(inner(range(min = 0.0, max = MAX_BUDGET))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub monthly_budget: Option<Option<f64>>,
}

/// Changes of the limits; absent fields keep their value, and `null` removes the workspace's own limit.
#[derive(Debug, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeLimits {
    /// The largest number of files.
    #[garde(inner(inner(range(min = 0, max = MAX_LIMIT))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub files: Option<Option<i64>>,
    /// The largest total size of all versions of all files, in bytes.
    #[garde(inner(inner(range(min = 0, max = MAX_LIMIT))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub bytes: Option<Option<i64>>,
    /// The largest number of chunks.
    #[garde(inner(inner(range(min = 0, max = MAX_LIMIT))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub chunks: Option<Option<i64>>,
    /// The largest number of unfinished runs.
    #[garde(inner(inner(range(min = 0, max = MAX_LIMIT))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub runs: Option<Option<i64>>,
    /// The largest number of collections.
    #[garde(inner(inner(range(min = 0, max = MAX_LIMIT))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub collections: Option<Option<i64>>,
}

impl From<ChangeWorkspace> for SettingsChange {
    fn from(body: ChangeWorkspace) -> Self {
        let limits = body.limits.map(|limits| LimitsChange {
            files: limits.files,
            bytes: limits.bytes,
            chunks: limits.chunks,
            runs: limits.runs,
            collections: limits.collections,
        });
        Self {
            name: body.name,
            slug: body.slug,
            retention_days: body.retention_days,
            limits: limits.unwrap_or_default(),
            monthly_budget: body.monthly_budget.map(|budget| budget.map(micros)),
        }
    }
}

fn change_example() -> Value {
    json!({ "name": "Tidal energy", "retentionDays": 365, "limits": { "files": 10000, "bytes": null } })
}

fn create_example() -> Value {
    json!({ "name": "Tidal energy" })
}

/// A workspace, with the caller's role in it.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// The workspace's id: `{ws}` in paths.
    pub id: Uuid,
    /// The display name.
    pub name: String,
    /// The short name for URLs.
    pub slug: String,
    /// The caller's role in the workspace.
    pub role: MemberRole,
    /// The number of days after the upload of its newest version at which a file is deleted; absent: files are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i32>,
    /// The workspace's own limits.
    pub limits: WorkspaceLimits,
    /// The largest cost of model calls in a calendar month (UTC); absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<f64>,
    /// The revision, which each change increments; also the `ETag`.
    pub revision: i32,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// A workspace's own limits; where one is absent, the deployment's limit applies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Limits")]
pub struct WorkspaceLimits {
    /// The largest number of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// The largest total size of all versions of all files, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The largest number of chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<i64>,
    /// The largest number of unfinished runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<i64>,
    /// The largest number of collections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<i64>,
}

/// A member's role; each role includes the permissions of the previous ones.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Role")]
pub enum MemberRole {
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
            slug: workspace.slug,
            role: workspace.role.into(),
            retention_days: workspace.retention_days,
            limits: WorkspaceLimits {
                files: workspace.limit_files,
                bytes: workspace.limit_bytes,
                chunks: workspace.limit_chunks,
                runs: workspace.limit_runs,
                collections: workspace.limit_collections,
            },
            monthly_budget: workspace.monthly_budget.map(|budget| budget as f64 / 1e6),
            revision: workspace.revision,
            created_at: workspace.created_at,
            updated_at: workspace.updated_at,
        }
    }
}

impl From<domain::role::Role> for MemberRole {
    fn from(role: domain::role::Role) -> Self {
        match role {
            domain::role::Role::Guest => Self::Guest,
            domain::role::Role::Member => Self::Member,
            domain::role::Role::Admin => Self::Admin,
            domain::role::Role::Owner => Self::Owner,
        }
    }
}

impl From<MemberRole> for domain::role::Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Guest => Self::Guest,
            MemberRole::Member => Self::Member,
            MemberRole::Admin => Self::Admin,
            MemberRole::Owner => Self::Owner,
        }
    }
}
