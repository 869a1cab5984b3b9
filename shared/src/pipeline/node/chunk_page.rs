//! `chunk.page`: a document to chunks of pages.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `chunk.page`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChunkPage {
    /// The number of pages of a chunk; longer ones than the model accepts are cut again.
    #[schemars(range(min = 1, max = 50))]
    pub pages: u32,
    /// The number of pages that a chunk repeats of the one before, fewer than `pages`.
    #[schemars(range(min = 0, max = 49))]
    pub overlap_pages: u32,
    /// Whether the headings above a chunk are embedded with it; its text stays as it is.
    pub contextual_prefix: bool,
}

impl Default for ChunkPage {
    fn default() -> Self {
        Self { pages: 1, overlap_pages: 0, contextual_prefix: false }
    }
}

impl NodeSpec for ChunkPage {
    const TYPE: &'static str = "chunk.page";
    const TITLE: &'static str = "Cut by pages";
    const DESCRIPTION: &'static str = "Cuts documents into chunks of one or several pages.";
    const GROUP: Group = Group::Cut;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;
    const READS_MODEL: bool = true;
    const CODE_VERSION: u32 = 3;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Document, Flow::Chunks)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("pages", self.pages, 1, 50);
        problems.range("overlapPages", self.overlap_pages, 0, self.pages.saturating_sub(1));
    }

    fn example() -> Self {
        Self { pages: 2, overlap_pages: 1, contextual_prefix: true }
    }
}
