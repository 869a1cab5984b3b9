//! `sentiment`: rates texts as negative, neutral, positive or mixed, with a score from -1 to 1.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `sentiment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sentiment {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "sentiment".to_owned()
}

impl NodeSpec for Sentiment {
    const TYPE: &'static str = "sentiment";
    const TITLE: &'static str = "Sentiment";
    const DESCRIPTION: &'static str = "Rates texts as negative, neutral, positive or mixed, with a score from -1 to 1.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
    }

    fn example() -> Self {
        Self { model: ModelCall::example(), field: default_field(), result: ResultKind::Metadata }
    }
}
