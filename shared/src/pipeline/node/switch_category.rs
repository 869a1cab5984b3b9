//! `switch.category`: one branch for each kind of file.

use std::collections::{BTreeMap, BTreeSet};

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    id,
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Settings of `switch.category`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchCategory {
    /// The categories of each branch, by the name of its output.
    pub branches: BTreeMap<String, BTreeSet<Category>>,
}

/// A kind of file, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Category {
    Text,
    Image,
    Document,
    Spreadsheet,
    Presentation,
    Archive,
    Code,
    Other,
}

impl NodeSpec for SwitchCategory {
    const TYPE: &'static str = "switch.category";
    const TITLE: &'static str = "Switch by category";
    const DESCRIPTION: &'static str =
        "Sends text, images, documents, spreadsheets, presentations, archives, code and others different ways.";
    const GROUP: Group = Group::Route;
    const COST: Cost = Cost::Negligible;
    const READS_FILE: bool = true;

    fn ports(&self) -> Ports {
        Ports::switch(&[Flow::Bytes, Flow::Document], self.branches.keys().cloned())
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        id::validate_branches(self.branches.keys(), problems);
        let mut taken = BTreeSet::new();
        for (name, categories) in &self.branches {
            if categories.is_empty() {
                let message = format!("the branch `{name}` has no category");
                problems.add(ProblemCode::InvalidSetting, "branches", message, "name one, or remove the branch");
            }
            for category in categories.iter().filter(|category| !taken.insert(**category)) {
                let message = format!("the branch `{name}` repeats {category:?}").to_lowercase();
                problems.add(ProblemCode::InvalidSetting, "branches", message, "name each category once");
            }
        }
    }

    fn example() -> Self {
        let branches = [
            ("pictures".to_owned(), BTreeSet::from([Category::Image])),
            ("tables".to_owned(), BTreeSet::from([Category::Spreadsheet])),
        ];
        Self { branches: branches.into() }
    }
}
