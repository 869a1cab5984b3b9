//! `switch.language`: one branch for each group of languages.

use std::collections::{BTreeMap, BTreeSet};

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::{
    id,
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Settings of `switch.language`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchLanguage {
    /// The languages of each branch (ISO 639 codes such as `de`), by the name of its output.
    pub branches: BTreeMap<String, BTreeSet<String>>,
    /// The confidence below which a text takes `else`.
    #[schemars(range(min = 0, max = 1))]
    #[serde(default = "default_confidence")]
    pub min_confidence: f64,
}

const fn default_confidence() -> f64 {
    0.8
}

impl NodeSpec for SwitchLanguage {
    const TYPE: &'static str = "switch.language";
    const TITLE: &'static str = "Switch by language";
    const DESCRIPTION: &'static str = "Sends texts of different languages different ways.";
    const GROUP: Group = Group::Route;
    const COST: Cost = Cost::Processor;

    fn ports(&self) -> Ports {
        Ports::switch(&[Flow::Document, Flow::Chunks], self.branches.keys().cloned())
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        id::validate_branches(self.branches.keys(), problems);
        problems.range("minConfidence", self.min_confidence, 0.0, 1.0);
        let mut taken = BTreeSet::new();
        for (name, languages) in &self.branches {
            if languages.is_empty() {
                let message = format!("the branch `{name}` has no language");
                problems.add(ProblemCode::InvalidSetting, "branches", message, "name one, or remove the branch");
            }
            for language in languages {
                if !(2..=3).contains(&language.len()) || !language.bytes().all(|byte| byte.is_ascii_lowercase()) {
                    let message = format!("`{language}` in the branch `{name}` is no language code");
                    let remedy = "use a code of two or three lower-case letters, such as `de`";
                    problems.add(ProblemCode::InvalidSetting, "branches", message, remedy);
                } else if !taken.insert(language) {
                    let message = format!("the branch `{name}` repeats `{language}`");
                    problems.add(ProblemCode::InvalidSetting, "branches", message, "name each language once");
                }
            }
        }
    }

    fn example() -> Self {
        let branches = [("german".to_owned(), BTreeSet::from(["de".to_owned()]))];
        Self { branches: branches.into(), min_confidence: 0.8 }
    }
}
