//! `chunk.section`: a document to chunks that begin and end at headings, paragraphs and sentences.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum number of tokens that a chunk may repeat of the one before; more would mostly store the same text twice.
const MAX_OVERLAP_TOKENS: u32 = 256;
/// Minimum of the maximum number of tokens; a shorter chunk has too little content to be found.
const MIN_CHUNK_TOKENS: u32 = 16;

/// Settings of `chunk.section`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChunkSection {
    /// The number of tokens below which a section is joined with the next one; absent: sections are never joined.
    #[schemars(range(min = 1, max = 4096))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<u32>,
    /// The largest number of tokens of a chunk; the model's limit if absent or larger.
    #[schemars(range(min = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The number of tokens that a chunk repeats of the one before, within a section; at most half of `maxTokens`.
    #[schemars(range(min = 0, max = 256))]
    pub overlap_tokens: u32,
    /// Whether the headings above a chunk are embedded with it; its text stays as it is.
    pub contextual_prefix: bool,
}

impl NodeSpec for ChunkSection {
    const TYPE: &'static str = "chunk.section";
    const TITLE: &'static str = "Cut by sections";
    const DESCRIPTION: &'static str = "Cuts documents at headings, then at paragraphs and sentences.";
    const GROUP: Group = Group::Cut;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;
    const READS_MODEL: bool = true;
    const CODE_VERSION: u32 = 3;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Document, Flow::Chunks)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if let Some(max) = self.max_tokens.filter(|max| *max < MIN_CHUNK_TOKENS) {
            let message = format!("{max} is less than {MIN_CHUNK_TOKENS}");
            problems.add(ProblemCode::InvalidSetting, "maxTokens", message, "raise it, or leave it out");
        }
        let most = self.max_tokens.map_or(MAX_OVERLAP_TOKENS, |max| MAX_OVERLAP_TOKENS.min(max / 2));
        problems.range("overlapTokens", self.overlap_tokens, 0, most);
        if let Some(min) = self.min_tokens {
            problems.range("minTokens", min, 1, self.max_tokens.unwrap_or(4096).clamp(1, 4096));
        }
    }

    fn example() -> Self {
        Self { min_tokens: Some(40), max_tokens: Some(240), overlap_tokens: 24, contextual_prefix: true }
    }
}
