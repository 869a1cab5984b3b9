//! `chunk.similarity`: a document to chunks of sentences that are about the same.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::{
    domain::job::Lane,
    pipeline::{
        port::{Flow, Ports},
        problem::NodeProblems,
    },
};

/// Settings of `chunk.similarity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChunkSimilarity {
    /// The largest number of tokens of a chunk; the model's limit if absent or larger.
    #[schemars(range(min = 16, max = 32768))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The cosine similarity of neighbouring sentences below which a chunk ends.
    #[schemars(range(min = 0, max = 1))]
    pub threshold: f64,
    /// Whether the headings above a chunk are embedded with it; its text stays as it is.
    pub contextual_prefix: bool,
}

impl Default for ChunkSimilarity {
    fn default() -> Self {
        Self { max_tokens: None, threshold: 0.5, contextual_prefix: false }
    }
}

impl NodeSpec for ChunkSimilarity {
    const TYPE: &'static str = "chunk.similarity";
    const TITLE: &'static str = "Cut by similarity";
    const DESCRIPTION: &'static str = "Cuts documents where neighbouring sentences are about different subjects.";
    const GROUP: Group = Group::Cut;
    const COST: Cost = Cost::Model;
    const KEEPS_OUTPUT: bool = true;
    const READS_MODEL: bool = true;
    const CODE_VERSION: u32 = 3;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Document, Flow::Chunks)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("threshold", self.threshold, 0.0, 1.0);
        if let Some(max) = self.max_tokens {
            problems.range("maxTokens", max, 16, 32_768);
        }
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self { max_tokens: Some(240), threshold: 0.6, contextual_prefix: true }
    }
}
