//! `chunk.characters`: a document to chunks of a number of characters.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `chunk.characters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChunkCharacters {
    /// The largest number of characters of a chunk; the model's limit of tokens applies as well.
    #[schemars(range(min = 50, max = 20000))]
    pub max_characters: u32,
    /// The number of characters that a chunk repeats of the one before, at most half of `maxCharacters`.
    #[schemars(range(min = 0, max = 10000))]
    pub overlap_characters: u32,
    /// Whether the headings above a chunk are embedded with it; its text stays as it is.
    pub contextual_prefix: bool,
}

impl Default for ChunkCharacters {
    fn default() -> Self {
        Self { max_characters: 1_000, overlap_characters: 0, contextual_prefix: false }
    }
}

impl NodeSpec for ChunkCharacters {
    const TYPE: &'static str = "chunk.characters";
    const TITLE: &'static str = "Cut by characters";
    const DESCRIPTION: &'static str = "Cuts documents into chunks of a number of characters, at white space.";
    const GROUP: Group = Group::Cut;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;
    const READS_MODEL: bool = true;
    const CODE_VERSION: u32 = 3;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Document, Flow::Chunks)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("maxCharacters", self.max_characters, 50, 20_000);
        problems.range("overlapCharacters", self.overlap_characters, 0, self.max_characters / 2);
    }

    fn example() -> Self {
        Self { max_characters: 1_200, overlap_characters: 120, contextual_prefix: true }
    }
}
