//! Requests and responses of the run operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::{failure::FailureCode, run},
    entity,
    pipeline::{builtin, progress},
    store::{
        self,
        run_list::{ItemFilter, RunFilter},
    },
};
use schemars::{
    JsonSchema,
    r#gen::SchemaGenerator,
    schema::{InstanceType, Schema, SchemaObject},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::{
        pagination::{PageQuery, default_limit},
        string_schema::{Line, Opaque},
        validation::{line, present},
    },
    problem::Problem,
};

/// The most files that a request names.
const MAX_FILES: usize = 1_000;

/// The path of a pipeline.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct PipelinePath {
    /// The pipeline's id.
    pub pipeline: Uuid,
}

/// The path of a run.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct RunPath {
    /// The run's id.
    pub run: Uuid,
}

/// The path of an item.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ItemPath {
    /// The run's id.
    pub run: Uuid,
    /// The item's id.
    pub item: Uuid,
}

/// The path of an artifact.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct ArtifactPath {
    /// The run's id.
    pub run: Uuid,
    /// The item's id.
    pub item: Uuid,
    /// The artifact's id.
    pub artifact: Uuid,
}

/// Identifiers of the domain, inline in the OpenAPI document.
macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident($of:ty) $all:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl JsonSchema for $name {
            fn is_referenceable() -> bool {
                false
            }

            fn schema_name() -> String {
                stringify!($name).to_owned()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let values = $all.iter().map(|value| value.name().into()).collect();
                SchemaObject {
                    instance_type: Some(InstanceType::String.into()),
                    enum_values: Some(values),
                    ..SchemaObject::default()
                }
                .into()
            }
        }
    )+};
}

identifiers! {
    /// The state of a run.
    RunState(run::RunState) run::RunState::ALL;
    /// The state of an item.
    ItemState(run::ItemState) run::ItemState::ALL;
    /// The reason why a run was started.
    RunTrigger(run::RunTrigger) run::RunTrigger::ALL;
    /// The kind of a log entry.
    LogKind(run::LogKind) run::LogKind::ALL;
}

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
    /// The files; absent: all that the sources of the definition take. Filters of the sources apply to them, too.
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
}

fn inline_example() -> Value {
    json!({ "definition": builtin::definition(Some(240), 24), "limit": 10 })
}

/// A preview to start.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "preview_example")]
pub struct PreviewPipeline {
    /// The files.
    #[garde(length(min = 1, max = 10))]
    #[schemars(length(min = 1, max = 10))]
    pub files: Vec<Uuid>,
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

fn failure_codes(_: &mut SchemaGenerator) -> Schema {
    let codes: Vec<_> = FailureCode::all().map(FailureCode::as_str).collect();
    serde_json::from_value(json!({ "type": "string", "enum": codes })).unwrap_or(Schema::Bool(true))
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

/// The page of runs to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RunsQuery {
    /// Only runs of this pipeline.
    pipeline: Option<Uuid>,
    /// Only runs in this state.
    state: Option<RunState>,
    /// Only runs that were started for this reason.
    trigger: Option<RunTrigger>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl RunsQuery {
    pub fn into_parts(self) -> (RunFilter, PageQuery) {
        let filter = RunFilter {
            pipeline: self.pipeline.map(Into::into),
            state: self.state.map(|state| state.0),
            trigger: self.trigger.map(|trigger| trigger.0),
        };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}

/// The page of items to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ItemsQuery {
    /// Only items in this state.
    state: Option<ItemState>,
    /// Only items that failed with this code.
    #[serde(default)]
    #[schemars(schema_with = "failure_codes")]
    code: Option<FailureCode>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    cursor: Option<String>,
}

impl ItemsQuery {
    pub fn into_parts(self) -> (ItemFilter, PageQuery) {
        let filter = ItemFilter { state: self.state.map(|state| state.0), code: self.code };
        (filter, PageQuery::new(self.limit, self.cursor))
    }
}

/// A run: one execution of a version of a pipeline over files.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run's id.
    pub id: Uuid,
    /// The state: `completed_with_errors` has failed items; `failed` ended before its items.
    pub state: RunState,
    /// The reason why it was started.
    pub trigger: RunTrigger,
    /// The id of the pipeline. A run with a definition of its own has a pipeline of its own, which no list shows.
    pub pipeline_id: Uuid,
    /// The number of the version of the pipeline's definition.
    pub pipeline_version: i32,
    /// Whether it stands behind all other work.
    pub low_priority: bool,
    /// The node from which on nothing was reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute_from: Option<String>,
    /// The id of the run that it was forked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_run_id: Option<Uuid>,
    /// What the sources that are connections have listed; absent: the run lists none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncCounts>,
    /// Why the run waits, where a member or an operator can remedy it; in the response of `readRun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<ItemWaiting>,
    /// Whether every file has entered.
    pub admitted: bool,
    /// The items that have entered.
    pub items: i32,
    /// Items that are queued or running.
    pub items_open: i32,
    /// Items that failed.
    pub items_failed: i32,
    /// Items of which nothing reached a sink.
    pub items_skipped: i32,
    /// Outputs of nodes that were found by their content, of items that have ended.
    pub reused: i64,
    /// Outputs of nodes that were computed, of items that have ended.
    pub recomputed: i64,
    /// Tokens that models were given, of items that have ended.
    pub tokens: i64,
    /// Tokens whose results were found, of items that have ended.
    pub tokens_saved: i64,
    /// The largest cost of calls of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Why the run ended before its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// The id of the account that started it; absent for triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Uuid>,
    /// The time of the start.
    pub created_at: DateTime<Utc>,
    /// The time of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Objects of connections in a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncCounts {
    /// Whether the run only counts what would change.
    pub dry_run: bool,
    /// Objects that were listed.
    pub seen: i64,
    /// Objects that became files.
    pub new: i64,
    /// Objects that became new versions of files.
    pub changed: i64,
    /// Objects whose content is that of their file.
    pub unchanged: i64,
    /// Objects that are gone.
    pub deleted: i64,
    /// Objects that could not be read; `listFailedObjects` has the reasons.
    pub failed: i64,
    /// Objects that are still to be read.
    pub pending: i32,
}

/// The first objects of a sync that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct FailedObjects {
    /// The objects, at most a thousand, by the ids of nodes and objects.
    pub items: Vec<FailedObject>,
}

/// An object of a connection that could not be read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedObject {
    /// The id of the source in the definition.
    pub node: String,
    /// The id of the object in the connection.
    pub external_id: String,
    /// The reason, for machines.
    #[schemars(schema_with = "failure_codes")]
    pub code: FailureCode,
    /// The reason, for people.
    pub detail: String,
    /// The id of the file that has an earlier state of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<Uuid>,
}

/// Why a run failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunFailure {
    /// The reason, for machines.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

impl From<entity::run::Model> for Run {
    fn from(row: entity::run::Model) -> Self {
        let detail = row.failure_detail.unwrap_or_default();
        Self {
            id: row.id.0,
            state: RunState(row.state),
            trigger: RunTrigger(row.trigger),
            pipeline_id: row.pipeline_id.0,
            pipeline_version: row.pipeline_version,
            low_priority: row.low_priority,
            recompute_from: row.recompute_from,
            origin_run_id: row.origin_run_id.map(Into::into),
            sync: row.syncs.then_some(SyncCounts {
                dry_run: row.dry_run,
                seen: row.objects_seen,
                new: row.objects_new,
                changed: row.objects_changed,
                unchanged: row.objects_unchanged,
                deleted: row.objects_deleted,
                failed: row.objects_failed,
                pending: row.objects_pending,
            }),
            waiting: None,
            admitted: row.admitted,
            items: row.items,
            items_open: row.items_open,
            items_failed: row.items_failed,
            items_skipped: row.items_skipped,
            reused: row.reused,
            recomputed: row.recomputed,
            tokens: row.tokens,
            tokens_saved: row.tokens_saved,
            budget: row.budget.map(|budget| budget as f64 / 1e6),
            failure: row.failure_code.map(|code| RunFailure { code: code.as_str().to_owned(), detail }),
            started_by: row.started_by.map(Into::into),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// An item: one version of a file in a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RunItem")]
pub struct Item {
    /// The item's id.
    pub id: Uuid,
    /// The id of the run.
    pub run_id: Uuid,
    /// The id of the file.
    pub file_id: Uuid,
    /// The id of the file's version.
    pub version_id: Uuid,
    /// The id of the item that this one is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<Uuid>,
    /// The state.
    pub state: ItemState,
    /// The current step, of an item that is queued or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ItemProgress>,
    /// Why the item waits, where a member or an operator can remedy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<ItemWaiting>,
    /// What each node did, by the ids of the nodes.
    pub nodes: Vec<NodeProgress>,
    /// Why the item failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ItemFailure>,
    /// Outputs of nodes that were found by their content.
    pub reused: i32,
    /// Outputs of nodes that were computed.
    pub recomputed: i32,
    /// Tokens that models were given.
    pub tokens: i64,
    /// Tokens whose results were found.
    pub tokens_saved: i64,
    /// The time at which the item entered.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
    /// The time of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why an item waits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemWaiting {
    /// The reason, such as the message of a provider.
    pub reason: String,
    /// The time of the next attempt; the wait costs none.
    pub until: DateTime<Utc>,
}

/// How far an item is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemProgress {
    /// The first node of the step.
    pub stage: String,
    /// The finished units of the step.
    pub done: i32,
    /// All units of the step, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
}

/// What a node did for an item.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeProgress {
    /// The node's id.
    pub node: String,
    /// The elements that it gave, by output.
    pub outputs: Vec<OutputProgress>,
    /// The milliseconds that its calls took together.
    pub millis: u64,
    /// Whether its output was found by its content.
    pub reused: bool,
}

/// What a node gave at an output.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputProgress {
    /// The name of the output.
    pub port: String,
    /// The number of elements.
    pub elements: u64,
}

/// Why an item failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// The node's id; absent if the failure belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The reason, for machines, as of files.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
    /// The attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
}

/// The progress that is stored with an item.
pub fn read_progress(row: &entity::run_item::Model) -> Result<progress::Progress, Problem> {
    serde_json::from_value(row.progress.clone()).map_err(Problem::internal)
}

impl Item {
    /// With why it waits, if it does.
    pub fn waiting(mut self, waits: &[store::job::ItemWait]) -> Self {
        let wait = waits.iter().find(|wait| wait.item_id.0 == self.id);
        self.waiting = wait.map(|wait| ItemWaiting { reason: wait.reason.clone(), until: wait.until });
        self
    }
}

impl From<entity::run_item::Model> for Item {
    fn from(row: entity::run_item::Model) -> Self {
        let nodes = read_progress(&row).map(|progress| progress.nodes).unwrap_or_default();
        let (stage, done, total) = (row.stage, row.done, row.total);
        let (node, attempt) = (row.failure_node, row.failure_attempt);
        let detail = row.failure_detail.unwrap_or_default();
        let failure =
            row.failure_code.map(|code| ItemFailure { node, code: code.as_str().to_owned(), detail, attempt });
        Self {
            id: row.id.0,
            run_id: row.run_id.0,
            file_id: row.file_id.0,
            version_id: row.version_id.0,
            parent_id: row.parent_id.map(Into::into),
            state: ItemState(row.state),
            progress: row.state.is_open().then_some(ItemProgress { stage, done, total }),
            waiting: None,
            nodes: nodes.into_iter().map(|(node, did)| NodeProgress::new(node, did)).collect(),
            failure,
            reused: row.reused,
            recomputed: row.recomputed,
            tokens: row.tokens,
            tokens_saved: row.tokens_saved,
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        }
    }
}

impl NodeProgress {
    fn new(node: String, did: progress::NodeProgress) -> Self {
        let outputs = did.elements.into_iter().map(|(port, elements)| OutputProgress { port, elements }).collect();
        Self { node, outputs, millis: did.millis, reused: did.reused }
    }
}

/// An entry of an item's log.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RunItemLogEntry")]
pub struct LogEntry {
    /// The entry's id.
    pub id: Uuid,
    /// The kind.
    pub kind: LogKind,
    /// The node's id, where the entry is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// One sentence.
    pub detail: String,
    /// The time.
    pub created_at: DateTime<Utc>,
}

impl From<entity::run_item_log::Model> for LogEntry {
    fn from(row: entity::run_item_log::Model) -> Self {
        Self { id: row.id.0, kind: LogKind(row.kind), node: row.node, detail: row.detail, created_at: row.created_at }
    }
}

/// The outputs of an item's nodes that are kept.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "RunArtifacts")]
pub struct Artifacts {
    /// The artifacts, in the order of the plan.
    pub items: Vec<Artifact>,
}

/// An output of a node that is kept.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RunArtifact")]
pub struct Artifact {
    /// The artifact's id.
    pub id: Uuid,
    /// The node's id.
    pub node: String,
    /// The name of the output.
    pub port: String,
    /// The type of the elements: `bytes`, `document`, `chunks`, `vectors` or `records`.
    pub flow: String,
    /// The number of elements that are kept; a preview keeps the first 200.
    pub elements: i32,
    /// Whether all parts are there; otherwise the node is at work.
    pub complete: bool,
    /// The time at which the output was computed.
    pub created_at: DateTime<Utc>,
}

/// Which results of a pipeline are stale, and why.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PipelineStaleness")]
pub struct Staleness {
    /// Items whose rows search can find.
    pub items: i64,
    /// Of them, those that are stale for any reason.
    pub stale: i64,
    /// Of them, those that an older version of the definition has written.
    pub older_version: i64,
    /// Of them, those that older code of a node type has written.
    pub older_code: i64,
    /// The node types whose code has changed since.
    pub node_types: Vec<StaleNodeType>,
    /// What a refresh would cost at most: outputs whose inputs have not changed are reused.
    pub refresh: RefreshCost,
}

/// A node type whose code has changed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaleNodeType {
    /// The name of the type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The oldest code version that rows were computed with.
    pub from: i32,
    /// The code version now.
    pub to: u32,
    /// The items of older code versions.
    pub items: i64,
}

/// What it takes to compute stale results again.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshCost {
    /// The files to read.
    pub files: i64,
    /// The chunks that they have now.
    pub chunks: i64,
    /// The tokens of these chunks.
    pub tokens: i64,
}
