//! `deduplicate`: finds elements whose text was there before.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    port::{Flow, Output, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// The name of the output for the first element of each text.
pub const UNIQUE: &str = "unique";
/// The name of the output for the others.
pub const DUPLICATES: &str = "duplicates";

/// Settings of `deduplicate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Deduplicate {
    /// The elements among which duplicates are found.
    pub scope: Scope,
    /// The similarity from which texts are duplicates: the share of common pieces of five letters; absent: only texts that are equal
    /// but for white space.
    #[schemars(range(min = 0.5, max = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// The name of the collection, with the scope `collection`; the node's results are those for this collection.
    #[schemars(length(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// The elements among which duplicates are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of the same file.
    #[default]
    Item,
    /// Those of all files of the run.
    Run,
    /// Those of all files that this pipeline has processed for a collection.
    Collection,
}

impl NodeSpec for Deduplicate {
    const TYPE: &'static str = "deduplicate";
    const TITLE: &'static str = "Remove duplicates";
    const DESCRIPTION: &'static str =
        "Finds elements whose text was there before: output `unique` has the first of each, `duplicates` the others.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Processor;
    const NEEDS_WHOLE: bool = true;

    fn ports(&self) -> Ports {
        Ports {
            input: vec![Flow::Document, Flow::Chunks, Flow::Records],
            outputs: vec![Output::new(UNIQUE, None), Output::new(DUPLICATES, None)],
        }
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if let Some(similarity) = self.similarity {
            problems.range("similarity", similarity, 0.5, 1.0);
        }
        match (self.scope, &self.collection) {
            (Scope::Collection, None) => {
                let message = "is missing";
                problems.add(ProblemCode::InvalidSetting, "collection", message, "name the collection");
            }
            (Scope::Item | Scope::Run, Some(_)) => {
                let message = "has no effect with this scope";
                problems.add(
                    ProblemCode::InvalidSetting,
                    "collection",
                    message,
                    "remove it, or use scope `collection`",
                );
            }
            _ => {}
        }
    }

    fn reads_run(&self) -> bool {
        self.scope != Scope::Item
    }

    fn example() -> Self {
        Self { scope: Scope::Collection, similarity: Some(0.8), collection: Some("default".to_owned()) }
    }
}
