//! Pipeline definitions: nodes and edges, as stored and as sent by clients.

use serde::{Deserialize, Serialize};

/// A directed graph of nodes. [`super::plan::compile`] validates it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// In any order.
    pub nodes: Vec<Node>,
    /// In any order.
    pub edges: Vec<Edge>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Unique within the definition; the API shows it as the stage of a file.
    pub id: String,
    /// The kind, with its settings.
    #[serde(flatten)]
    pub kind: NodeKind,
}

/// Connects the output of a node to the input of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// The producing node's id.
    pub from: String,
    /// The consuming node's id.
    pub to: String,
}

/// The kind of a node. A new kind is a variant here and a file in the worker's `node/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum NodeKind {
    /// Source: the content of the uploaded file version.
    Upload,
    /// Transform: file content to a structured document.
    Partition,
    /// Transform: a document to chunks.
    Chunk {
        /// Maximum number of tokens of a chunk; the model's limit if absent or larger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
        /// Number of tokens that a chunk repeats of the one before, within a section.
        #[serde(default)]
        overlap_tokens: u32,
    },
    /// Transform: chunks to vectors.
    Embed,
    /// Sink: writes vectors to the workspace's index.
    Index,
}

/// The data type of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortType {
    /// No data: a source's input, a sink's output.
    Nothing,
    /// File content.
    Bytes,
    /// A document.
    Document,
    /// Chunks of a document.
    Chunks,
    /// Chunks with their vectors.
    Vectors,
}

impl NodeKind {
    /// The data type of the input.
    #[must_use]
    pub const fn input(&self) -> PortType {
        match self {
            Self::Upload => PortType::Nothing,
            Self::Partition => PortType::Bytes,
            Self::Chunk { .. } => PortType::Document,
            Self::Embed => PortType::Chunks,
            Self::Index => PortType::Vectors,
        }
    }

    /// The data type of the output.
    #[must_use]
    pub const fn output(&self) -> PortType {
        match self {
            Self::Upload => PortType::Bytes,
            Self::Partition => PortType::Document,
            Self::Chunk { .. } => PortType::Chunks,
            Self::Embed => PortType::Vectors,
            Self::Index => PortType::Nothing,
        }
    }

    /// Whether work fans out before this node. Its input is stored durably, so that a slow or failing call does not repeat
    /// earlier nodes.
    #[must_use]
    pub const fn fans_out(&self) -> bool {
        matches!(self, Self::Embed)
    }
}

/// The definition of every workspace's built-in pipeline, which processes uploads. The arguments are the settings of
/// [`NodeKind::Chunk`]; [`super::plan::compile`] validates them.
#[must_use]
pub fn builtin_index(max_tokens: Option<u32>, overlap_tokens: u32) -> Definition {
    let nodes = [
        ("upload", NodeKind::Upload),
        ("partition", NodeKind::Partition),
        ("chunk", NodeKind::Chunk { max_tokens, overlap_tokens }),
        ("embed", NodeKind::Embed),
        ("index", NodeKind::Index),
    ];
    let edge = |pair: &[(&str, NodeKind)]| Edge { from: pair[0].0.to_owned(), to: pair[1].0.to_owned() };
    Definition {
        edges: nodes.windows(2).map(edge).collect(),
        nodes: nodes.into_iter().map(|(id, kind)| Node { id: id.to_owned(), kind }).collect(),
    }
}
