//! The contract of node types.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::job::Lane,
    id::ConnectionId,
    pipeline::{
        options::{NodeOptions, OnError, Retry},
        port::{Border, Ports},
        problem::NodeProblems,
    },
};

/// The group of a node type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Items enter.
    Source,
    /// Bytes become documents.
    Read,
    /// Documents become chunks.
    Cut,
    /// Data is derived or selected.
    Compute,
    /// Tables take another form.
    Table,
    /// A language model derives data.
    Model,
    /// Data takes one of several ways.
    Route,
    /// Data is tested.
    Check,
    /// A service of one's own computes.
    Own,
    /// Results are written.
    Sink,
}

/// What a node mainly costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Less than a millisecond for an item.
    Negligible,
    /// Processor time that grows with the text.
    Processor,
    /// Model calls that grow with the text.
    Model,
    /// Database rows or stored bytes.
    Storage,
    /// Requests to a service of one's own that grow with the text.
    Service,
}

/// A node type: its settings, and everything that follows from them without running it.
pub trait NodeSpec: Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema {
    /// The name in definitions; never renamed.
    const TYPE: &'static str;
    /// The name for people.
    const TITLE: &'static str;
    /// One sentence for people.
    const DESCRIPTION: &'static str;
    /// The group.
    const GROUP: Group;
    /// The main cost.
    const COST: Cost;
    /// Raised by hand when the same input and settings give another output.
    const CODE_VERSION: u32 = 1;

    /// Whether the output is kept and found by its content key: whether it costs more to compute than to store.
    const KEEPS_OUTPUT: bool = false;

    /// Whether the output depends on name, tags, metadata or other properties of the file, besides the input.
    const READS_FILE: bool = false;

    /// Whether the node takes all elements of an item at once: units of the input are joined before it.
    const NEEDS_WHOLE: bool = false;

    /// Whether the output depends on the embedding model or its tokenizer.
    const READS_MODEL: bool = false;

    /// The connection that the node calls.
    fn connection(&self) -> Option<ConnectionId> {
        None
    }

    /// The ports with these settings.
    fn ports(&self) -> Ports;

    /// Adds all problems of the settings.
    fn validate(&self, _: &mut NodeProblems<'_>) {}

    /// The border before the node.
    fn border(&self) -> Option<Border> {
        None
    }

    /// Whether another run computes the output again, though the input is the same: the output depends on more than the input.
    fn reads_run(&self) -> bool {
        false
    }

    /// The resource that the node mainly uses.
    fn lane(&self) -> Lane {
        Lane::Extract
    }

    /// The common options where a definition sets none.
    #[must_use]
    fn default_options() -> NodeOptions {
        NodeOptions {
            retry: Some(Retry { attempts: 6, backoff_seconds: 1 }),
            on_error: Some(OnError::FailItem),
            ..NodeOptions::default()
        }
    }

    /// Valid settings with a value for every field.
    fn example() -> Self;
}
