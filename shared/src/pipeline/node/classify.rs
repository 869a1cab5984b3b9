//! `classify`: assigns one or several of given labels to texts.

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

/// Settings of `classify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Classify {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The labels.
    #[schemars(length(min = 2, max = 200))]
    pub labels: Vec<String>,
    /// Whether a text may have several labels; then the result is a list.
    #[serde(default)]
    pub multiple: bool,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "category".to_owned()
}

impl NodeSpec for Classify {
    const TYPE: &'static str = "classify";
    const TITLE: &'static str = "Classify";
    const DESCRIPTION: &'static str = "Assigns one or several of given labels to texts.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        validate_labels("labels", &self.labels, 2, problems);
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            labels: ["invoice", "contract", "other"].map(str::to_owned).into(),
            multiple: true,
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
