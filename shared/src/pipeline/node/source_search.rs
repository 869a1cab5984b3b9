//! `source.search`: the files that a search finds.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    file_filter::FileFilter,
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum length of a query, in bytes.
const MAX_QUERY_BYTES: usize = 2_000;
/// Maximum number of files.
const MAX_FILES: u32 = 10_000;

/// Settings of `source.search`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceSearch {
    /// The query; absent: the filter alone selects.
    #[schemars(length(min = 1, max = 2000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The files that may be found; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FileFilter>,
    /// The largest number of files, best first.
    #[schemars(range(min = 1, max = 10000))]
    pub limit: u32,
}

impl Default for SourceSearch {
    fn default() -> Self {
        Self { query: None, filter: None, limit: 100 }
    }
}

impl NodeSpec for SourceSearch {
    const TYPE: &'static str = "source.search";
    const TITLE: &'static str = "Search results";
    const DESCRIPTION: &'static str = "Takes the files that a query and a filter find.";
    const GROUP: Group = Group::Source;
    const COST: Cost = Cost::Negligible;

    fn ports(&self) -> Ports {
        Ports::source(Flow::Bytes)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("limit", self.limit, 1, MAX_FILES);
        if let Some(filter) = &self.filter {
            filter.validate("filter", problems);
        }
        match &self.query {
            None if self.filter.is_none() => {
                let message = "there is neither a query nor a filter";
                problems.add(ProblemCode::InvalidSetting, "query", message, "set `query`, `filter` or both");
            }
            Some(query) if query.trim().is_empty() || query.len() > MAX_QUERY_BYTES => {
                let message = format!("must have 1 to {MAX_QUERY_BYTES} bytes");
                problems.add(ProblemCode::InvalidSetting, "query", message, "shorten it, or leave it out");
            }
            _ => {}
        }
    }

    fn example() -> Self {
        let filter = json!({ "field": "tags", "op": "in", "value": ["contract"] });
        Self { query: Some("termination".to_owned()), filter: Some(FileFilter(filter)), limit: 100 }
    }
}
