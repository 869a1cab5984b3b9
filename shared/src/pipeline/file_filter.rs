//! A condition on files as a setting of nodes: the filter language of search.

use std::borrow::Cow;

use json_schema::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::{NodeProblems, ProblemCode};
use crate::domain::filter::{Filter, FilterError};

/// A filter as its author wrote it; [`FileFilter::parse`] reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileFilter(pub Value);

impl FileFilter {
    /// The condition.
    ///
    /// # Errors
    /// When it is not valid; the node's validation has checked it.
    pub fn parse(&self) -> Result<Filter, FilterError> {
        Filter::parse(&self.0)
    }

    /// Adds the reason why it is not valid.
    pub fn validate(&self, field: &str, problems: &mut NodeProblems<'_>) {
        if let Err(error) = self.parse() {
            let path = match error.path.as_str() {
                "" => field.to_owned(),
                path => format!("{field}.{path}"),
            };
            let remedy = "write it in the filter language of search";
            problems.add(ProblemCode::InvalidFilter, &path, error.kind.to_string(), remedy);
        }
    }
}

impl JsonSchema for FileFilter {
    fn schema_name() -> Cow<'static, str> {
        "FileFilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A condition on files, as `filter` of a search: {\"field\", \"op\", \"value\"}, or one of {\"and\": [..]}, {\"or\": [..]}, {\"not\": {..}}.",
            "oneOf": [
                { "required": ["field", "op", "value"], "properties": { "field": { "type": "string" }, "op": { "enum": ["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte"] }, "value": true }, "additionalProperties": false },
                { "required": ["and"], "properties": { "and": { "type": "array" } }, "additionalProperties": false },
                { "required": ["or"], "properties": { "or": { "type": "array" } }, "additionalProperties": false },
                { "required": ["not"], "properties": { "not": { "type": "object" } }, "additionalProperties": false }
            ]
        })
    }
}
