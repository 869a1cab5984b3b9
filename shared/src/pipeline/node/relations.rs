//! `relations`: finds statements about entities: subject, predicate and object, with the byte ranges where they stand.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate, validate_labels},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `relations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relations {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The predicates to look for; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub predicates: Vec<String>,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "relations".to_owned()
}

impl NodeSpec for Relations {
    const TYPE: &'static str = "relations";
    const TITLE: &'static str = "Relations";
    const DESCRIPTION: &'static str =
        "Finds statements about entities: subject, predicate and object, with the byte ranges where they stand.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        validate_labels("predicates", &self.predicates, 0, problems);
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            predicates: ["works for", "located in"].map(str::to_owned).into(),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
