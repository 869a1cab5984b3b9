//! Pipeline definitions as they are stored and sent: nodes and edges.

use serde::{Deserialize, Serialize};

/// A directed graph of nodes. Valid only once [`super::plan::compile`] says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// In any order.
    pub nodes: Vec<Node>,
    /// In any order.
    pub edges: Vec<Edge>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Unique within the definition; shown as the stage of a file.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub kind: NodeKind,
}

/// What flows from one node's output into another's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// The producing node's id.
    pub from: String,
    /// The consuming node's id.
    pub to: String,
}

/// What a node does. A new kind is a variant here and a file in the worker's `nodes/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum NodeKind {
    /// Source: the bytes of the uploaded file version.
    Upload,
    /// Transform: bytes to a document with structure.
    Partition,
    /// Transform: a document to chunks.
    Chunk {
        /// Most tokens in a chunk; the model's own limit where absent or larger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
        /// Tokens a chunk repeats of the one before, within a section.
        #[serde(default)]
        overlap_tokens: u32,
    },
    /// Transform: chunks to vectors.
    Embed,
    /// Sink: vectors into the workspace's index.
    Index,
}

/// What an input takes or an output gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing: a source's input, a sink's output.
    Nothing,
    /// A file's bytes.
    Bytes,
    /// A document.
    Document,
    /// Chunks of a document.
    Chunks,
    /// Chunks with their vectors.
    Vectors,
}

impl NodeKind {
    /// What the node takes.
    #[must_use]
    pub const fn input(&self) -> Flow {
        match self {
            Self::Upload => Flow::Nothing,
            Self::Partition => Flow::Bytes,
            Self::Chunk { .. } => Flow::Document,
            Self::Embed => Flow::Chunks,
            Self::Index => Flow::Vectors,
        }
    }

    /// What the node gives.
    #[must_use]
    pub const fn output(&self) -> Flow {
        match self {
            Self::Upload => Flow::Bytes,
            Self::Partition => Flow::Document,
            Self::Chunk { .. } => Flow::Chunks,
            Self::Embed => Flow::Vectors,
            Self::Index => Flow::Nothing,
        }
    }

    /// Whether work fans out before this node, so that its input must be durable: one slow or
    /// failing call must not repeat what came before it.
    #[must_use]
    pub const fn fans_out(&self) -> bool {
        matches!(self, Self::Embed)
    }
}

/// The definition every workspace is born with: what happens to an upload. The settings are those of
/// [`NodeKind::Chunk`]; [`super::plan::compile`] says whether they make sense.
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
