//! `sink.file`: writes a derived file into the workspace.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum length of a suffix, in bytes.
const MAX_SUFFIX_BYTES: usize = 50;

/// Settings of `sink.file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkFile {
    /// Appended to the name of the source file, such as `.txt`.
    #[schemars(length(min = 1, max = 50))]
    pub suffix: String,
    /// The format of the file.
    #[serde(default)]
    pub format: FileFormat,
}

/// The format of a derived file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Bytes as they are, documents as text, chunks and records as JSON lines.
    #[default]
    Auto,
    /// JSON with the structure.
    Json,
}

impl NodeSpec for SinkFile {
    const TYPE: &'static str = "sink.file";
    const TITLE: &'static str = "Derived file";
    const DESCRIPTION: &'static str = "Writes a file into the workspace that is derived from the source file.";
    const GROUP: Group = Group::Sink;
    const COST: Cost = Cost::Storage;
    const NEEDS_WHOLE: bool = true;

    fn ports(&self) -> Ports {
        Ports::sink(&[Flow::Bytes, Flow::Document, Flow::Chunks, Flow::Records])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        let valid = (1..=MAX_SUFFIX_BYTES).contains(&self.suffix.len())
            && !self.suffix.chars().any(|letter| letter.is_control() || matches!(letter, '/' | '\\'));
        if !valid {
            let message = format!("must have 1 to {MAX_SUFFIX_BYTES} bytes without slashes and control characters");
            problems.add(ProblemCode::InvalidSetting, "suffix", message, "use an extension such as `.txt`");
        }
    }

    fn example() -> Self {
        Self { suffix: ".txt".to_owned(), format: FileFormat::Json }
    }
}
