//! Problems of a definition: what is wrong, where, and how to correct it.

use std::fmt;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of a [`Problem`]; part of the HTTP contract, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The definition has too many bytes, nodes, edges or slots.
    TooLarge,
    /// The definition has a version that this server does not know.
    UnknownSchemaVersion,
    /// A part of the definition is missing or has the wrong JSON type.
    InvalidShape,
    /// The field does not exist here.
    UnknownField,
    /// An id is not well-formed.
    InvalidId,
    /// Two nodes or slots have one id.
    DuplicateId,
    /// No node type has this name.
    UnknownType,
    /// A setting has the wrong type or is out of range.
    InvalidSetting,
    /// A filter is not valid.
    InvalidFilter,
    /// An expression does not parse, names unknown variables or functions, or has the wrong type.
    InvalidExpression,
    /// An expression could run too long.
    ExpressionTooCostly,
    /// An edge names a node or slot that does not exist.
    UnknownNode,
    /// An edge names a port that the node does not have.
    UnknownPort,
    /// The node has several outputs, and the edge names none.
    PortMissing,
    /// Two edges connect the same ports.
    DuplicateEdge,
    /// A slot has no node that writes to it, or none that reads from it.
    OneSidedSlot,
    /// An edge connects two slots.
    SlotToSlot,
    /// The definition has no source.
    NoSource,
    /// The input of a node is not connected.
    NoInput,
    /// No output of a node is connected.
    NoOutput,
    /// Nodes depend on themselves, or pipelines start after each other.
    Cycle,
    /// The flow of an output does not fit the input that it is connected with.
    WrongFlow,
    /// Several flows meet in one input.
    MixedFlows,
    /// A schedule is not valid, or its time zone is not known.
    InvalidSchedule,
    /// The workspace has no collection of this name.
    UnknownCollection,
    /// The workspace has no pipeline of this name.
    UnknownPipeline,
    /// The workspace has no connection of this id.
    UnknownConnection,
    /// Connections of the provider cannot do what the node needs.
    WrongProvider,
}

impl ProblemCode {
    /// The identifier.
    #[must_use]
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|json| json.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A reason why a definition is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind.
    pub code: ProblemCode,
    /// The node or slot; absent if the definition as a whole is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The field of the node, or of the definition.
    pub field: String,
    /// The rule that is violated.
    pub message: String,
    /// How to correct it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "node `{node}`, ")?;
        }
        write!(f, "{}: {}; {}", self.field, self.message, self.remedy)
    }
}

/// Problems, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a problem of the definition as a whole.
    pub fn add(&mut self, code: ProblemCode, field: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let (field, message, remedy) = (field.to_owned(), message.into(), remedy.into());
        self.0.push(Problem { code, node: None, field, message, remedy });
    }

    /// The problems of one node or slot.
    pub fn of<'a>(&'a mut self, node: &'a str) -> NodeProblems<'a> {
        NodeProblems { node, problems: self }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Adds problems of one node.
#[derive(Debug)]
pub struct NodeProblems<'a> {
    node: &'a str,
    problems: &'a mut Problems,
}

impl NodeProblems<'_> {
    /// Adds a problem of a field.
    pub fn add(&mut self, code: ProblemCode, field: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.add(code, field, message, remedy);
        if let Some(last) = self.problems.0.last_mut() {
            last.node = Some(self.node.to_owned());
        }
    }

    /// A setting outside its range.
    pub fn range<T: PartialOrd + fmt::Display>(&mut self, field: &str, value: T, min: T, max: T) {
        if value < min || value > max {
            let message = format!("{value} is not between {min} and {max}");
            self.add(ProblemCode::InvalidSetting, field, message, format!("use a value from {min} to {max}"));
        }
    }
}

/// A definition that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))]
pub struct InvalidDefinition(
    /// All problems, at least one.
    pub Vec<Problem>,
);
