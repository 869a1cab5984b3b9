//! Requests and responses of the pipeline operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    entity,
    pipeline::{self, builtin, diff::Diff, state},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::PipelineChange;
use crate::http::validation::text;

/// The path of a pipeline.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct PipelinePath {
    /// The pipeline's id.
    pub pipeline: Uuid,
}

/// The path of a version of a pipeline.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct VersionPath {
    /// The pipeline's id.
    pub pipeline: Uuid,
    /// The number of the version.
    pub version: i32,
}

/// A pipeline to create.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreatePipeline {
    /// The name, unique in the workspace.
    #[garde(custom(text(1, 100)))]
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The definition; `listNodeTypes` returns its JSON Schema.
    #[garde(skip)]
    pub definition: Value,
}

fn create_example() -> Value {
    json!({ "name": "Reports", "definition": builtin::definition(Some(240), 24) })
}

/// Changes of a pipeline; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangePipeline {
    /// The name, unique in the workspace.
    #[garde(inner(custom(text(1, 100))))]
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    /// The state.
    #[garde(skip)]
    pub state: Option<PipelineState>,
    /// The definition, which becomes a new version if it differs.
    #[garde(skip)]
    pub definition: Option<Value>,
}

fn change_example() -> Value {
    json!({ "state": "disabled" })
}

impl From<ChangePipeline> for PipelineChange {
    fn from(body: ChangePipeline) -> Self {
        Self { name: body.name, state: body.state.map(Into::into), definition: body.definition }
    }
}

/// The state of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// Being written; no trigger starts it.
    Draft,
    /// Its triggers start runs.
    Enabled,
    /// No trigger starts it; its runs in progress go on.
    Disabled,
}

impl From<PipelineState> for state::PipelineState {
    fn from(state: PipelineState) -> Self {
        match state {
            PipelineState::Draft => Self::Draft,
            PipelineState::Enabled => Self::Enabled,
            PipelineState::Disabled => Self::Disabled,
        }
    }
}

impl From<state::PipelineState> for PipelineState {
    fn from(state: state::PipelineState) -> Self {
        match state {
            state::PipelineState::Draft => Self::Draft,
            state::PipelineState::Enabled => Self::Enabled,
            state::PipelineState::Disabled => Self::Disabled,
        }
    }
}

/// A pipeline, without its definition.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelineSummary {
    /// The pipeline's id.
    pub id: Uuid,
    /// The name, unique in the workspace.
    pub name: String,
    /// The state.
    pub state: PipelineState,
    /// Whether the workspace was created with it; it can be disabled, not deleted.
    pub builtin: bool,
    /// The number of the newest version of the definition, from 1.
    pub version: i32,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// A pipeline, with its newest definition.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    /// The pipeline's id.
    pub id: Uuid,
    /// The name, unique in the workspace.
    pub name: String,
    /// The state.
    pub state: PipelineState,
    /// Whether the workspace was created with it; it can be disabled, not deleted.
    pub builtin: bool,
    /// The number of the newest version of the definition, from 1.
    pub version: i32,
    /// The newest definition.
    pub definition: Value,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl From<entity::pipeline::Model> for PipelineSummary {
    fn from(row: entity::pipeline::Model) -> Self {
        Self {
            id: row.id.0,
            name: row.name,
            state: row.state.into(),
            builtin: row.builtin,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Pipeline {
    pub fn new(row: entity::pipeline::Model, definition: Value) -> Self {
        let PipelineSummary { id, name, state, builtin, version, created_at, updated_at } = row.into();
        Self { id, name, state, builtin, version, definition, created_at, updated_at }
    }
}

/// A pipeline as it is exported.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelineDocument {
    /// The name.
    pub name: String,
    /// The newest definition.
    pub definition: Value,
}

/// A version of a pipeline, without its definition.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelineVersionSummary {
    /// The number, from 1.
    pub number: i32,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
}

impl From<entity::pipeline_version::Model> for PipelineVersionSummary {
    fn from(row: entity::pipeline_version::Model) -> Self {
        Self { number: row.number, created_at: row.created_at }
    }
}

/// A version of a pipeline.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelineVersion {
    /// The number, from 1.
    pub number: i32,
    /// The definition.
    pub definition: Value,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
}

impl From<entity::pipeline_version::Model> for PipelineVersion {
    fn from(row: entity::pipeline_version::Model) -> Self {
        Self { number: row.number, definition: row.definition, created_at: row.created_at }
    }
}

/// A definition to validate.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "validate_example")]
pub struct ValidateDefinition {
    /// The definition; `listNodeTypes` returns its JSON Schema.
    #[garde(skip)]
    pub definition: Value,
}

fn validate_example() -> Value {
    json!({ "definition": builtin::definition(Some(240), 24) })
}

/// The result of a validation.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct ValidationResult {
    /// Whether the definition can be stored.
    pub valid: bool,
    /// Every problem.
    pub problems: Vec<DefinitionProblem>,
    /// What a valid definition refers to and the workspace does not have: until it does, the pipeline cannot be enabled.
    pub not_runnable: Vec<DefinitionProblem>,
    /// The plan, if the definition is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PipelinePlan>,
}

/// A problem of a definition.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionProblem {
    /// The kind, for programs.
    pub code: String,
    /// The id of the node or slot; absent if the definition as a whole is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The field of the node, or of the definition.
    pub field: String,
    /// The rule that is violated.
    pub message: String,
    /// How to correct it.
    pub remedy: String,
}

impl From<pipeline::Problem> for DefinitionProblem {
    fn from(problem: pipeline::Problem) -> Self {
        let pipeline::Problem { code, node, field, message, remedy } = problem;
        Self { code: code.name(), node, field, message, remedy }
    }
}

/// The version whose plan is returned.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    /// The number of the version; absent: the newest.
    #[garde(skip)]
    pub version: Option<i32>,
}

/// The plan of a definition.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelinePlan {
    /// The number of the version; absent for a definition that is not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The segments: nodes that run together, and the outputs that they take from other segments.
    pub segments: Value,
    /// The plan as a Mermaid flowchart.
    pub mermaid: String,
}

/// The versions to compare.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The number of the old version; absent: the one before the new version.
    #[garde(skip)]
    pub from: Option<i32>,
    /// The number of the new version; absent: the newest.
    #[garde(skip)]
    pub to: Option<i32>,
}

/// The difference of two versions.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct PipelineDiff {
    /// The number of the old version.
    pub from: i32,
    /// The number of the new version.
    pub to: i32,
    /// The ids of nodes that only the new version has.
    pub nodes_added: Vec<String>,
    /// The ids of nodes that only the old version has.
    pub nodes_removed: Vec<String>,
    /// Nodes with different fields.
    pub nodes_changed: Vec<NodeChange>,
    /// The ids of slots that only the new version has.
    pub slots_added: Vec<String>,
    /// The ids of slots that only the old version has.
    pub slots_removed: Vec<String>,
    /// Edges that only the new version has.
    pub edges_added: Vec<DiffEdge>,
    /// Edges that only the old version has.
    pub edges_removed: Vec<DiffEdge>,
}

/// A node with different fields.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeChange {
    /// The node's id.
    pub id: String,
    /// The different fields.
    pub fields: Vec<FieldChange>,
}

/// A field with different values.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The name of the field.
    pub field: String,
    /// The old value; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The new value; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// An edge.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffEdge {
    /// The output.
    pub from: String,
    /// The input.
    pub to: String,
}

impl PipelineDiff {
    pub fn new(from: i32, to: i32, diff: Diff) -> Self {
        let edges = |edges: Vec<pipeline::definition::Edge>| {
            edges.into_iter().map(|edge| DiffEdge { from: edge.from, to: edge.to }).collect()
        };
        let field =
            |field: pipeline::diff::FieldChange| FieldChange { field: field.field, from: field.from, to: field.to };
        let change = |change: pipeline::diff::NodeChange| NodeChange {
            id: change.id,
            fields: change.fields.into_iter().map(field).collect(),
        };
        Self {
            from,
            to,
            nodes_added: diff.nodes_added,
            nodes_removed: diff.nodes_removed,
            nodes_changed: diff.nodes_changed.into_iter().map(change).collect(),
            slots_added: diff.slots_added,
            slots_removed: diff.slots_removed,
            edges_added: edges(diff.edges_added),
            edges_removed: edges(diff.edges_removed),
        }
    }
}
