//! `source.files`: the files of the workspace.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    file_filter::FileFilter,
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `source.files`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceFiles {
    /// The event that starts a run.
    pub trigger: Trigger,
    /// The files that enter; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FileFilter>,
}

/// The event that starts a run of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Each upload, for the uploaded file.
    #[default]
    Upload,
    /// A request, for all files.
    Manual,
}

impl NodeSpec for SourceFiles {
    const TYPE: &'static str = "source.files";
    const TITLE: &'static str = "Files";
    const DESCRIPTION: &'static str = "Takes files of the workspace: each upload, or all of them on request.";
    const GROUP: Group = Group::Source;
    const COST: Cost = Cost::Negligible;

    fn ports(&self) -> Ports {
        Ports::source(Flow::Bytes)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if let Some(filter) = &self.filter {
            filter.validate("filter", problems);
        }
    }

    fn example() -> Self {
        let filter = json!({ "field": "mediaType", "op": "eq", "value": "application/pdf" });
        Self { trigger: Trigger::Upload, filter: Some(FileFilter(filter)) }
    }
}
