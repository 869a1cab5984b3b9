//! Ports: the typed inputs and outputs of nodes.

use json_schema::JsonSchema;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The type of the data on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The content of files.
    Bytes,
    /// Text with its structure.
    Document,
    /// Pieces of a document.
    Chunks,
    /// Chunks with their vectors.
    Vectors,
    /// JSON rows.
    Records,
}

impl Flow {
    /// All flows.
    pub const ALL: [Self; 5] = [Self::Bytes, Self::Document, Self::Chunks, Self::Vectors, Self::Records];

    /// The identifier in definitions and plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Document => "document",
            Self::Chunks => "chunks",
            Self::Vectors => "vectors",
            Self::Records => "records",
        }
    }
}

/// Where outputs become durable, and how the work behind is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// Before a node: its input is processed in batches of an item, each of which is retried alone.
    Units,
    /// Before a node: its input is durable, so that a repetition of its calls repeats nothing before them.
    Durable,
    /// Behind an output: each element becomes an item of its own.
    Items,
}

/// The name of the only input.
pub const INPUT: &str = "in";
/// The name of an only output.
pub const OUTPUT: &str = "out";
/// The output of a switch for everything that no branch takes.
pub const ELSE: &str = "else";

/// The ports of a node with certain settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The flows that the input accepts; empty for a source, which has no input.
    pub input: Vec<Flow>,
    /// Empty for a sink. A single one is the default of edges that name no port.
    pub outputs: Vec<Output>,
}

/// An output of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Unique within the node.
    pub name: String,
    /// `None`: the flow of the input.
    pub flow: Option<Flow>,
    /// The border behind this output.
    pub border: Option<Border>,
}

impl Output {
    /// An output without a border.
    #[must_use]
    pub fn new(name: impl Into<String>, flow: Option<Flow>) -> Self {
        Self { name: name.into(), flow, border: None }
    }
}

impl Ports {
    /// A source of this flow.
    #[must_use]
    pub fn source(flow: Flow) -> Self {
        Self { input: Vec::new(), outputs: vec![Output::new(OUTPUT, Some(flow))] }
    }

    /// From one flow to another.
    #[must_use]
    pub fn transform(from: Flow, to: Flow) -> Self {
        Self { input: vec![from], outputs: vec![Output::new(OUTPUT, Some(to))] }
    }

    /// An output of the same flow as the input, which is one of these.
    #[must_use]
    pub fn pass(flows: &[Flow]) -> Self {
        Self { input: flows.to_vec(), outputs: vec![Output::new(OUTPUT, None)] }
    }

    /// One output for each branch, and `else`; all of the same flow as the input, which is one of these.
    #[must_use]
    pub fn switch(flows: &[Flow], branches: impl IntoIterator<Item = String>) -> Self {
        let outputs = branches.into_iter().chain([ELSE.to_owned()]).map(|name| Output::new(name, None)).collect();
        Self { input: flows.to_vec(), outputs }
    }

    /// A sink of one of these flows.
    #[must_use]
    pub fn sink(flows: &[Flow]) -> Self {
        Self { input: flows.to_vec(), outputs: Vec::new() }
    }
}
