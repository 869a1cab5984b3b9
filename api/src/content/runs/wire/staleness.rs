//! Results that an older version of a pipeline has written.

use apistos::ApiComponent;
use schemars::JsonSchema;
use serde::Serialize;

/// Which results of a pipeline are stale, and why.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PipelineStaleness")]
pub struct Staleness {
    /// Items whose results are there: in collections, in systems outside, or as files.
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
    /// The oldest code version that results were computed with.
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
    /// The estimated cost, by the prices of the connections that compute vectors and answers; absent: none of them has a price. Nodes
    /// that ask a model read as many tokens as last time, but no fewer than the chunks have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}
