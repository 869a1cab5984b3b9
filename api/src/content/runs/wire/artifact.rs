//! Outputs of nodes that are kept.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

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
