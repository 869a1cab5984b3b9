//! Definitions: graphs as users author them.
//!
//! ```json
//! { "schemaVersion": 1,
//!   "nodes": [ { "id": "in", "type": "source.files", "trigger": "upload" }, { "id": "read", "type": "partition" },
//!              { "id": "cut", "type": "chunk.section", "maxTokens": 240, "retry": { "attempts": 3 } },
//!              { "id": "vec", "type": "embed" }, { "id": "out", "type": "sink.collection" } ],
//!   "slots": [ { "id": "text" } ],
//!   "edges": [ { "from": "in", "to": "read" }, { "from": "read", "to": "text" }, { "from": "text", "to": "cut" },
//!              { "from": "cut", "to": "vec" }, { "from": "vec", "to": "out" } ] }
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::options::NodeOptions;

/// The version of the form of definitions.
pub const SCHEMA_VERSION: u64 = 1;

/// A directed graph of nodes. `compile::read` reads it from JSON and keeps the readable parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u64,
    /// In any order.
    pub nodes: Vec<Node>,
    /// In any order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// In any order.
    pub edges: Vec<Edge>,
}

/// A node: id, type, common options, and the settings of its type beside them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Unique among nodes and slots. The API shows it as the stage of a file.
    pub id: String,
    /// The name of the node type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The common options.
    #[serde(flatten)]
    pub options: NodeOptions,
    /// The settings of the node's type, as written.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// A named junction: every node that writes to it is connected with every node that reads from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slot {
    /// Unique among nodes and slots.
    pub id: String,
}

/// Connects an output with an input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// `node`, `node.port` or a slot.
    pub from: String,
    /// `node`, `node.in` or a slot.
    pub to: String,
}

impl Edge {
    /// An edge between these ends.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

impl Definition {
    /// The JSON form, in which it is stored and exported.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
