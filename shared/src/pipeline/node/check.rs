//! `check`: tests a condition and reports where it does not hold.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    expression::{self, Expected},
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum length of a message, in bytes.
const MAX_MESSAGE_BYTES: usize = 500;

/// Settings of `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// The condition, in CEL.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
    /// The consequence where the condition does not hold.
    #[serde(default)]
    pub severity: Severity,
    /// The message in the result; absent: the expression.
    #[schemars(length(min = 1, max = 500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The consequence of a condition that does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The result is reported.
    #[default]
    Warn,
    /// The item fails.
    Block,
}

impl NodeSpec for Check {
    const TYPE: &'static str = "check";
    const TITLE: &'static str = "Check";
    const DESCRIPTION: &'static str = "Tests a condition; where it does not hold, it warns or fails the item.";
    const GROUP: Group = Group::Check;
    const COST: Cost = Cost::Negligible;
    const READS_FILE: bool = true;

    fn ports(&self) -> Ports {
        Ports::pass(&Flow::ALL)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        expression::validate(&self.expression, Expected::Bool, "expression", problems);
        if self.message.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_MESSAGE_BYTES) {
            let message = format!("must have 1 to {MAX_MESSAGE_BYTES} bytes");
            problems.add(ProblemCode::InvalidSetting, "message", message, "shorten it, or leave it out");
        }
    }

    fn example() -> Self {
        let message = Some("the document has no text".to_owned());
        Self { expression: "document.characters > 0".to_owned(), severity: Severity::Block, message }
    }
}
