//! `partition`: bytes to a document.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::port::{Flow, Ports};

/// Settings of `partition`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Partition {
    /// How much of the structure is read.
    pub mode: PartitionMode,
    /// Whether text in images is recognised.
    pub ocr: Ocr,
    /// Whether what can be read of a damaged or too large file is enough: the rest is missing, with a warning. Otherwise the file
    /// fails.
    pub partial: bool,
}

/// How much of the structure is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum PartitionMode {
    /// Headings, lists, tables and pages.
    #[default]
    Auto,
    /// Text and pages only.
    Fast,
}

/// Whether text in images is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Ocr {
    /// Never.
    Never,
    /// In pictures, and on pages without readable text, if the operator has installed the models.
    #[default]
    Auto,
    /// In pictures and on all pages, whatever text they have.
    Always,
}

impl NodeSpec for Partition {
    const TYPE: &'static str = "partition";
    const TITLE: &'static str = "Read";
    const DESCRIPTION: &'static str = "Reads files into text with headings, lists, tables and pages.";
    const GROUP: Group = Group::Read;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;
    const CODE_VERSION: u32 = 3;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Bytes, Flow::Document)
    }

    fn example() -> Self {
        Self { mode: PartitionMode::Auto, ocr: Ocr::Auto, partial: false }
    }
}
