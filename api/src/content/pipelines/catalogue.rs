//! The catalogue of node types, for editors.

use std::sync::LazyLock;

use apistos::{ApiComponent, api_operation};
use nvisy_shared::pipeline::{expression::VARIABLES, node, port::Border, schema};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{auth::account::CurrentAccount, http::extract::Json, problem::Problem};

/// Everything that an editor needs to know of definitions.
#[derive(Clone, Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct NodeTypes {
    /// The node types.
    items: Vec<NodeType>,
    /// The JSON Schema (draft 2020-12) of a definition.
    definition_schema: Value,
    /// The variables of expressions.
    variables: Vec<ExpressionVariable>,
}

/// A node type.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeType {
    /// The name: the `type` of nodes.
    #[serde(rename = "type")]
    kind: String,
    /// The name for people.
    title: String,
    /// One sentence for people.
    description: String,
    /// The group: `source`, `read`, `cut`, `compute`, `table`, `model`, `route`, `check`, `own` or `sink`.
    group: Value,
    /// What a node mainly costs: `negligible`, `processor`, `model`, `storage` or `service`.
    cost: Value,
    /// Raised when the same input and settings give another output.
    code_version: u32,
    /// The flows that the input accepts; empty for a source.
    input: Vec<String>,
    /// The outputs of the example; those of a switch depend on its branches.
    outputs: Vec<NodeOutput>,
    /// Whether the input is divided into batches that are processed and retried alone.
    divides_input: bool,
    /// The common options where a node sets none.
    defaults: Value,
    /// Valid settings with a value for every field.
    example: Value,
    /// The JSON Schema of a node of this type.
    schema: Value,
}

/// An output of a node type.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeOutput {
    /// The name: `node.name` in edges, or only `node` where it is the only output.
    name: String,
    /// The flow; absent: that of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// Whether each element becomes an item of its own.
    makes_items: bool,
}

/// A variable of expressions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpressionVariable {
    /// The name.
    name: String,
    /// One sentence.
    description: String,
}

/// The same for every caller, and some hundred kilobytes of schemas.
static NODE_TYPES: LazyLock<NodeTypes> = LazyLock::new(|| NodeTypes {
    items: node::node_types().iter().map(NodeType::from).collect(),
    definition_schema: schema::definition_schema(),
    variables: VARIABLES
        .iter()
        .map(|variable| ExpressionVariable {
            name: variable.name.to_owned(),
            description: variable.description.to_owned(),
        })
        .collect(),
});

impl From<&node::NodeType> for NodeType {
    fn from(of: &node::NodeType) -> Self {
        let ports = of.example.ports();
        let outputs = ports.outputs.iter().map(|output| NodeOutput {
            name: output.name.clone(),
            flow: output.flow.map(|flow| flow.name().to_owned()),
            makes_items: output.border == Some(Border::Items),
        });
        Self {
            kind: of.name.to_owned(),
            title: of.title.to_owned(),
            description: of.description.to_owned(),
            group: json!(of.group),
            cost: json!(of.cost),
            code_version: of.code_version,
            input: ports.input.iter().map(|flow| flow.name().to_owned()).collect(),
            outputs: outputs.collect(),
            divides_input: of.example.border() == Some(Border::Units),
            defaults: json!(of.defaults),
            example: of.example.to_json(),
            schema: schema::node_schema(of),
        }
    }
}

#[api_operation(
    operation_id = "listNodeTypes",
    tag = "pipelines",
    summary = "List node types",
    description = "The node types of pipelines, with ports, defaults, examples and JSON Schemas, and the schema of a whole definition."
)]
pub async fn list(_account: CurrentAccount) -> Result<Json<NodeTypes>, Problem> {
    Ok(Json(NODE_TYPES.clone()))
}
