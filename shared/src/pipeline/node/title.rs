//! `title`: finds or writes a title for texts, from their beginning.

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

fn default_max_words() -> u32 {
    12
}

/// Settings of `title`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Title {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The largest number of words.
    #[serde(default = "default_max_words")]
    #[schemars(range(min = 1, max = 50))]
    pub max_words: u32,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "title".to_owned()
}

impl NodeSpec for Title {
    const TYPE: &'static str = "title";
    const TITLE: &'static str = "Title";
    const DESCRIPTION: &'static str = "Finds or writes a title for texts, from their beginning.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        problems.range("maxWords", self.max_words, 1, 50);
    }

    fn example() -> Self {
        Self { model: ModelCall::example(), max_words: 10, field: default_field(), result: ResultKind::Metadata }
    }
}
