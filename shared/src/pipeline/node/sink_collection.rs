//! `sink.collection`: writes into a collection of the workspace.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::{
    domain::slug::{MAX_SLUG_CHARS, is_slug},
    pipeline::{
        port::{Flow, Ports},
        problem::{NodeProblems, ProblemCode},
    },
};

/// The collection with which every workspace is created.
pub const DEFAULT_COLLECTION: &str = "default";

/// Settings of `sink.collection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SinkCollection {
    /// The name of the collection.
    #[schemars(length(min = 1, max = 63))]
    pub collection: String,
}

impl Default for SinkCollection {
    fn default() -> Self {
        Self { collection: DEFAULT_COLLECTION.to_owned() }
    }
}

impl NodeSpec for SinkCollection {
    const TYPE: &'static str = "sink.collection";
    const TITLE: &'static str = "Collection";
    const DESCRIPTION: &'static str =
        "Writes vectors with their chunks into a collection, where search finds them; chunks alone for full text only.";
    const GROUP: Group = Group::Sink;
    const COST: Cost = Cost::Storage;

    fn ports(&self) -> Ports {
        Ports::sink(&[Flow::Vectors, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if !is_slug(&self.collection) {
            let message = format!("must have 1 to {MAX_SLUG_CHARS} lower-case letters, digits and hyphens");
            problems.add(ProblemCode::InvalidSetting, "collection", message, "use the name of a collection");
        }
    }

    fn example() -> Self {
        Self::default()
    }
}
