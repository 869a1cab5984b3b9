//! Requests and responses of the connection operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::connection::{self, CheckStep},
    entity,
    secret::Secret,
    store,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::http::validation::{nullable, present, slug};

/// The path of a connection.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ConnectionPath {
    /// The connection's id.
    pub connection: Uuid,
}

/// A connection to create.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateConnection {
    /// The name, unique in the workspace.
    #[garde(custom(slug))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The provider, as `listProviders` returns it.
    #[garde(length(min = 1, max = 63))]
    #[schemars(length(min = 1, max = 63))]
    pub provider: String,
    /// The settings, as the provider's schema has them.
    #[garde(skip)]
    #[schemars(with = "Map<String, Value>")]
    pub settings: Value,
    /// The credentials, as the provider's schema has them. No response contains them.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Map<String, Value>")]
    pub credentials: Option<Secret<Value>>,
    /// Whether pipelines may use it.
    #[garde(skip)]
    #[serde(default = "enabled")]
    pub enabled: bool,
}

const fn enabled() -> bool {
    true
}

fn create_example() -> Value {
    json!({ "name": "gpt", "provider": "openai", "settings": { "model": "gpt-5-mini" }, "credentials": { "apiKey": "sk-.." } })
}

/// Changes of a connection; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeConnection {
    /// The name, unique in the workspace.
    #[garde(inner(custom(slug)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// The whole settings.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Map<String, Value>")]
    pub settings: Option<Value>,
    /// The whole credentials; `null` removes them. They must be given again with another address, which they would be sent to.
    #[garde(skip)]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub credentials: Option<Option<Secret<Value>>>,
    /// Whether pipelines may use it.
    #[garde(skip)]
    pub enabled: Option<bool>,
}

fn change_example() -> Value {
    json!({ "credentials": { "apiKey": "sk-.." } })
}

/// A check to be made.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "check_example")]
pub struct RequestCheck {
    /// The longest wait for the result, in seconds; 0 returns at once.
    #[garde(range(max = 60))]
    #[schemars(range(min = 0, max = 60))]
    #[serde(default = "default_wait")]
    pub wait_seconds: u16,
}

const fn default_wait() -> u16 {
    20
}

fn check_example() -> Value {
    json!({ "waitSeconds": 20 })
}

/// The objects to be listed.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "browse_example")]
pub struct BrowseConnection {
    /// The part of the system: `stream` of a `source.connection`; absent: all.
    #[garde(skip)]
    #[serde(default)]
    pub stream: Map<String, Value>,
    /// The largest number of objects.
    #[garde(range(min = 1, max = 1000))]
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "default_objects")]
    pub limit: u32,
    /// The longest wait for the answer, in seconds; 0 returns at once.
    #[garde(range(max = 60))]
    #[schemars(range(min = 0, max = 60))]
    #[serde(default = "default_wait")]
    pub wait_seconds: u16,
}

const fn default_objects() -> u32 {
    50
}

fn browse_example() -> Value {
    json!({ "stream": { "path": "contracts" }, "limit": 10 })
}

/// Whether a worker has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConnectionQueryState")]
pub enum QueryState {
    /// Not yet.
    Running,
    /// With the items.
    Done,
    /// The system gave none.
    Failed,
}

/// The streams of a connection.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Streams {
    /// Whether a worker has answered.
    pub state: QueryState,
    /// The streams.
    pub items: Vec<Stream>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A part of a system that can be read on its own.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionStream")]
pub struct Stream {
    /// The name.
    pub name: String,
    /// The `stream` of a `source.connection` that reads it.
    #[schemars(with = "Map<String, Value>")]
    pub settings: Value,
    /// Fields that tell what changed, where the provider needs one of them.
    pub cursor_fields: Vec<String>,
    /// Whether a sync can list only what changed.
    pub incremental: bool,
}

/// The first objects of a connection.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// Whether a worker has answered.
    pub state: QueryState,
    /// The objects.
    pub items: Vec<Object>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// An object of a connection.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionObject")]
pub struct Object {
    /// The id of the object in the connection, which its file gets.
    pub external_id: String,
    /// The name, or path.
    pub name: String,
    /// The size in bytes, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The time of the last change, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<DateTime<Utc>>,
    /// The media type, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Who may read it, where the system says it. Nothing enforces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Value>,
}

/// A connection to another system.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The connection's id.
    pub id: Uuid,
    /// The name, unique in the workspace.
    pub name: String,
    /// The kind: `model`, `embedding`, `reranking`, `objects`, `web`, `mail`, `relational` or `vectors`.
    pub kind: String,
    /// The provider.
    pub provider: String,
    /// The settings.
    #[schemars(with = "Map<String, Value>")]
    pub settings: Value,
    /// Whether there are credentials.
    pub has_credentials: bool,
    /// Whether pipelines may use it.
    pub enabled: bool,
    /// Why it is not called for now; absent: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// The check that was requested last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// Why a connection is not called for now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// The reason.
    pub reason: String,
    /// The time of the next call.
    pub until: DateTime<Utc>,
}

/// A check of a connection.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionCheck")]
pub struct Check {
    /// The result: `running`, `ok` or `failed`.
    pub state: String,
    /// The steps, in order; after one that fails and is not optional there are no more.
    pub steps: Vec<Step>,
    /// The time of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<DateTime<Utc>>,
}

/// A step of a check.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionCheckStep")]
pub struct Step {
    /// The step, such as `address`, `login`, `answer` or `write`.
    pub name: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// The finding.
    pub detail: String,
    /// Why it failed, of the step `write`: `blocked`, `busy`, `unavailable`, or the code that a file would fail with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether the check succeeds without it: `write` while no pipeline writes, `list` and `read` while pipelines only write.
    pub optional: bool,
}

impl From<CheckStep> for Step {
    fn from(step: CheckStep) -> Self {
        let CheckStep { name, ok, detail, code, optional } = step;
        Self { name, ok, detail, code, optional }
    }
}

impl Connection {
    pub fn new(row: entity::connection::Model, blocks: &[store::connection::Block]) -> Self {
        let steps: Vec<CheckStep> = serde_json::from_value(row.check_steps).unwrap_or_default();
        let steps = steps.into_iter().map(Step::from).collect();
        let check =
            row.check_state.map(|state| Check { state: state.name().to_owned(), steps, checked_at: row.checked_at });
        let blocked = blocks.iter().find(|block| block.connection_id == row.id);
        Self {
            id: row.id.0,
            kind: connection::provider(&row.provider).map_or("", |provider| provider.kind.name()).to_owned(),
            name: row.name,
            provider: row.provider,
            settings: row.settings,
            has_credentials: row.credentials.is_some(),
            enabled: row.enabled,
            blocked: blocked.map(|block| Blocked { reason: block.reason.clone(), until: block.blocked_until }),
            check,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
