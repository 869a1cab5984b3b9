//! Requests and responses of the operations on snapshots.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{entity, store::snapshot::SnapshotKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::as_of::snapshot_key, service::RequestedSnapshot};
use crate::{
    http::{
        string_schema::Prose,
        validation::{present, present_time, prose, slug_but_no_id},
    },
    problem::Problem,
};

/// The path of a snapshot.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct SnapshotPath {
    /// The snapshot's id or name.
    #[schemars(length(min = 1, max = 63))]
    pub snapshot: String,
}

impl SnapshotPath {
    /// 404 for a text that can be no name.
    pub fn key(self) -> Result<SnapshotKey, Problem> {
        snapshot_key(&self.snapshot).ok_or_else(Problem::not_found)
    }
}

/// A snapshot to create.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateSnapshot {
    /// The name, unique in the workspace: a short name for `asOf` and URLs.
    #[garde(custom(slug_but_no_id))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    name: String,
    /// A description for people.
    #[garde(inner(custom(prose(1000))))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Prose<1000>")]
    description: Option<String>,
    /// A past time that all collections have kept; absent: now.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present_time")]
    #[schemars(with = "DateTime<Utc>")]
    at: Option<DateTime<Utc>>,
}

impl From<CreateSnapshot> for RequestedSnapshot {
    fn from(body: CreateSnapshot) -> Self {
        let CreateSnapshot { name, description, at } = body;
        Self { name, description: description.unwrap_or_default(), at }
    }
}

fn create_example() -> Value {
    json!({ "name": "audit-2026", "description": "The manuals that the audit of 2026 read." })
}

/// A time with a name, of which passages stay searchable.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The snapshot's id.
    pub id: Uuid,
    /// The name, unique in the workspace.
    pub name: String,
    /// The description.
    pub description: String,
    /// The time of which passages are kept.
    pub at: DateTime<Utc>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
}

impl From<entity::snapshot::Model> for Snapshot {
    fn from(row: entity::snapshot::Model) -> Self {
        Self { id: row.id.into(), name: row.name, description: row.description, at: row.at, created_at: row.created_at }
    }
}
