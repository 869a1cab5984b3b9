//! `extract.keywords`: the words and phrases that texts are about.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    metadata_key,
    spec::{Cost, Group, NodeSpec},
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `extract.keywords`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExtractKeywords {
    /// How keywords are found.
    pub method: KeywordMethod,
    /// The largest number of keywords.
    #[schemars(range(min = 1, max = 100))]
    pub count: u32,
    /// The largest number of words in a keyword.
    #[schemars(range(min = 1, max = 5))]
    pub max_words: u32,
    /// The key of the metadata that gets them.
    #[schemars(length(min = 1, max = 100))]
    pub metadata: String,
}

/// How keywords are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum KeywordMethod {
    /// By frequency, place, case and neighbours of words (YAKE), on this machine.
    #[default]
    Statistical,
}

impl Default for ExtractKeywords {
    fn default() -> Self {
        Self { method: KeywordMethod::Statistical, count: 10, max_words: 3, metadata: "keywords".to_owned() }
    }
}

impl NodeSpec for ExtractKeywords {
    const TYPE: &'static str = "extract.keywords";
    const TITLE: &'static str = "Extract keywords";
    const DESCRIPTION: &'static str = "Finds the words and phrases that a text is about, and sets them as metadata.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;

    fn ports(&self) -> Ports {
        Ports::pass(&[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("count", self.count, 1, 100);
        problems.range("maxWords", self.max_words, 1, 5);
        metadata_key::validate(&self.metadata, "metadata", problems);
    }

    fn example() -> Self {
        Self { count: 5, ..Self::default() }
    }
}
