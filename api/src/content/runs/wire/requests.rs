//! Requests that start and steer runs.

use apistos::ApiComponent;
use garde::Validate;
use nvisy_shared::domain::failure::FailureCode;
use nvisy_shared::pipeline::builtin;
use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::identifiers::ItemState;
use crate::http::{
    string_schema::{Line, failure_codes},
    validation::{line, present},
};

/// The most files that a request names.
const MAX_FILES: usize = 1_000;

/// The schema of search filters.
fn filter_schema(_: &mut SchemaGenerator) -> Schema {
    Schema::new_ref("#/components/schemas/Filter".to_owned())
}

/// A run to start over files that exist.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "start_example")]
pub struct StartRun {
    /// The files; absent: all that the sources of the pipeline take. Filters of the sources apply to them, too.
    #[garde(inner(length(min = 1, max = MAX_FILES)))]
    #[schemars(length(min = 1, max = 1000))]
    pub files: Option<Vec<Uuid>>,
    /// Only files that match; see `search`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(schema_with = "filter_schema")]
    pub filter: Option<Value>,
    /// The largest number of files.
    #[garde(inner(range(min = 1)))]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub limit: Option<u32>,
    /// Whether the run stands behind all other work: a back-fill.
    #[garde(skip)]
    #[serde(default)]
    pub low_priority: bool,
    /// The id of a node: its output and those that depend on it are computed again, even if nothing has changed.
    #[garde(inner(custom(line(1, 100))))]
    #[schemars(with = "Option<Line<1, 100>>")]
    pub recompute_from: Option<String>,
    /// The largest cost of calls of models, in the currency of the connections' prices. When it is spent, the run fails with
    /// `budget_exceeded`; calls in progress may exceed it.
    #[garde(inner(range(min = 0.0, max = 1e9)))]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub budget: Option<f64>,
    /// Whether a sync only counts what would change, and writes nothing. The pipeline must have a source that is a connection, and
    /// the request must select no files.
    #[garde(skip)]
    #[serde(default)]
    pub dry_run: bool,
}

fn start_example() -> Value {
    json!({ "filter": { "field": "mediaType", "op": "eq", "value": "application/pdf" }, "lowPriority": true })
}

/// A run to start with a definition of its own.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "inline_example")]
pub struct StartInlineRun {
    /// The definition; `listNodeTypes` returns its JSON Schema.
    #[garde(skip)]
    pub definition: Value,
    /// The files; absent: those of the form, or all that the sources of the definition take. Filters of the sources apply to them, too.
    #[garde(inner(length(min = 1, max = MAX_FILES)))]
    #[schemars(length(min = 1, max = 1000))]
    pub files: Option<Vec<Uuid>>,
    /// Only files that match; see `search`.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(schema_with = "filter_schema")]
    pub filter: Option<Value>,
    /// The largest number of files.
    #[garde(inner(range(min = 1)))]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub limit: Option<u32>,
    /// Whether the run stands behind all other work.
    #[garde(skip)]
    #[serde(default)]
    pub low_priority: bool,
    /// The largest cost of calls of models, as of `startRun`.
    #[garde(inner(range(min = 0.0, max = 1e9)))]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub budget: Option<f64>,
    /// A receiver that gets a message when the run has ended.
    #[garde(dive)]
    pub webhook: Option<RunWebhook>,
}

/// The receiver of a message about the end of a run.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunWebhook {
    /// The address, which gets a POST request: `https` or `http`, without credentials.
    #[garde(custom(line(1, 2048)))]
    #[schemars(with = "Line<1, 2048>")]
    pub url: String,
}

/// An example of a run with a definition of its own.
pub fn inline_example() -> Value {
    json!({ "definition": builtin::definition(Some(240), 24), "limit": 10 })
}

/// A preview to start.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "preview_example")]
pub struct PreviewPipeline {
    /// The files; absent: a sample.
    #[garde(inner(length(min = 1, max = 10)))]
    #[schemars(length(min = 1, max = 10))]
    pub files: Option<Vec<Uuid>>,
    /// In place of files: so many of those that the sources of the definition take, the newest ones.
    #[garde(inner(range(min = 1, max = 10)))]
    #[schemars(range(min = 1, max = 10))]
    pub sample: Option<u32>,
    /// A definition to try; absent: the newest one of the pipeline.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub definition: Option<Value>,
    /// How long the response waits for the end of the run.
    #[garde(range(max = 30))]
    #[schemars(range(min = 0, max = 30))]
    #[serde(default)]
    pub wait_seconds: u32,
}

fn preview_example() -> Value {
    json!({ "files": ["019ab1c4-11d0-7e2f-a1b2-c3d4e5f60718"], "waitSeconds": 20 })
}

/// Which failed items are repeated.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "retry_example")]
pub struct RetryRun {
    /// Only items that failed with this code.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(schema_with = "failure_codes")]
    pub code: Option<FailureCode>,
}

fn retry_example() -> Value {
    json!({ "code": "timed_out" })
}

/// A run to start over the files of another one.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "fork_example")]
pub struct ForkRun {
    /// The number of another version of the pipeline; absent: that of the run.
    #[garde(skip)]
    pub version: Option<i32>,
    /// Another definition, which is not stored with the pipeline; not together with a version.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    pub definition: Option<Value>,
    /// The id of a node: its output and those that depend on it are computed again, even if nothing has changed.
    #[garde(inner(custom(line(1, 100))))]
    #[schemars(with = "Option<Line<1, 100>>")]
    pub from_node: Option<String>,
    /// Only the files of items in this state.
    #[garde(skip)]
    pub state: Option<ItemState>,
    /// Whether the run stands behind all other work.
    #[garde(skip)]
    #[serde(default)]
    pub low_priority: bool,
}

fn fork_example() -> Value {
    json!({ "version": 2, "fromNode": "cut", "state": "done" })
}
