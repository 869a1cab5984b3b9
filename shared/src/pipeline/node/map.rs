//! `map`: computes metadata or records by expressions.

use std::collections::BTreeMap;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    expression::{self, Expected},
    port::{Flow, OUTPUT, Output, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum number of keys.
const MAX_KEYS: usize = 50;
/// Maximum length of a key, in bytes.
const MAX_KEY_BYTES: usize = 100;

/// Settings of `map`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MapValues {
    /// Expressions by the key of the metadata that they set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// An expression for a record, a map; with it, the output is records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

impl NodeSpec for MapValues {
    const TYPE: &'static str = "map";
    const TITLE: &'static str = "Map";
    const DESCRIPTION: &'static str = "Computes metadata, or a record for each element, by expressions.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Negligible;
    const READS_FILE: bool = true;

    fn ports(&self) -> Ports {
        let flow = self.record.as_ref().map(|_| Flow::Records);
        let input = vec![Flow::Bytes, Flow::Document, Flow::Chunks, Flow::Records];
        Ports { input, outputs: vec![Output::new(OUTPUT, flow)] }
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if self.metadata.is_empty() && self.record.is_none() {
            let message = "there is no expression";
            problems.add(ProblemCode::InvalidSetting, "metadata", message, "set `metadata`, `record` or both");
        }
        if self.metadata.len() > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} keys");
            problems.add(ProblemCode::InvalidSetting, "metadata", message, "remove some");
        }
        for (key, expression) in self.metadata.iter().take(MAX_KEYS) {
            if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains(['.', '\0']) {
                let message = format!("the key `{key}` must have 1 to {MAX_KEY_BYTES} bytes and no dot");
                problems.add(ProblemCode::InvalidSetting, "metadata", message, "rename the key");
            }
            expression::validate(expression, Expected::Any, &format!("metadata.{key}"), problems);
        }
        if let Some(record) = &self.record {
            expression::validate(record, Expected::Map, "record", problems);
        }
    }

    fn example() -> Self {
        let metadata = [("reviewed".to_owned(), "metadata.state == 'final'".to_owned())];
        Self { metadata: metadata.into(), record: Some("{'name': file.name, 'size': file.size}".to_owned()) }
    }
}
