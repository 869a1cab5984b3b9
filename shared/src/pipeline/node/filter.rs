//! `filter`: keeps the elements for which an expression is true.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    expression::{self, Expected},
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `filter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// The condition, in CEL. Elements for which it is false are dropped.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
}

impl NodeSpec for Filter {
    const TYPE: &'static str = "filter";
    const TITLE: &'static str = "Filter";
    const DESCRIPTION: &'static str = "Keeps the elements for which a condition holds.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Negligible;
    const READS_FILE: bool = true;

    fn ports(&self) -> Ports {
        Ports::pass(&Flow::ALL)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        expression::validate(&self.expression, Expected::Bool, "expression", problems);
    }

    fn example() -> Self {
        Self { expression: "file.size < 10000000 && 'draft' in file.tags == false".to_owned() }
    }
}
