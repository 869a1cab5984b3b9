//! `language`: detects the language of documents or chunks.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `language`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Language {
    /// The confidence below which no language is set.
    #[schemars(range(min = 0, max = 1))]
    pub min_confidence: f64,
}

impl Default for Language {
    fn default() -> Self {
        Self { min_confidence: 0.5 }
    }
}

impl NodeSpec for Language {
    const TYPE: &'static str = "language";
    const TITLE: &'static str = "Detect language";
    const DESCRIPTION: &'static str =
        "Detects the language and sets `document.language`, or `item.language` of chunks.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;

    fn ports(&self) -> Ports {
        Ports::pass(&[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("minConfidence", self.min_confidence, 0.0, 1.0);
    }

    fn example() -> Self {
        Self { min_confidence: 0.8 }
    }
}
