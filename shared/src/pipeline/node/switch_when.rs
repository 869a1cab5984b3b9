//! `switch.when`: branches by conditions; the first that holds is taken.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    expression::{self, Expected},
    id,
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `switch.when`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchWhen {
    /// The branches, in the order in which their conditions are evaluated.
    pub branches: Vec<Branch>,
}

/// A branch with its condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branch {
    /// The name of its output.
    pub port: String,
    /// The condition, in CEL.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
}

impl NodeSpec for SwitchWhen {
    const TYPE: &'static str = "switch.when";
    const TITLE: &'static str = "Switch by condition";
    const DESCRIPTION: &'static str = "Sends each element to the first branch whose condition holds.";
    const GROUP: Group = Group::Route;
    const COST: Cost = Cost::Negligible;
    const READS_FILE: bool = true;

    fn ports(&self) -> Ports {
        let flows = [Flow::Bytes, Flow::Document, Flow::Chunks, Flow::Records];
        Ports::switch(&flows, self.branches.iter().map(|branch| branch.port.clone()))
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        id::validate_branches(self.branches.iter().map(|branch| &branch.port), problems);
        for (index, branch) in self.branches.iter().take(id::MAX_BRANCHES).enumerate() {
            let field = format!("branches[{index}].expression");
            expression::validate(&branch.expression, Expected::Bool, &field, problems);
        }
    }

    fn example() -> Self {
        let branch = |port: &str, expression: &str| Branch { port: port.to_owned(), expression: expression.to_owned() };
        Self { branches: vec![branch("large", "file.size > 1000000"), branch("tagged", "size(file.tags) > 0")] }
    }
}
