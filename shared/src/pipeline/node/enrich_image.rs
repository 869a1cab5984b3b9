//! `enrich.image`: describes images, as documents that can be cut, embedded and searched.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, calls_model, validate},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

fn default_max_words() -> u32 {
    150
}

/// Settings of `enrich.image`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrichImage {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The largest number of words.
    #[serde(default = "default_max_words")]
    #[schemars(range(min = 5, max = 2000))]
    pub max_words: u32,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
}

fn default_field() -> String {
    "description".to_owned()
}

impl NodeSpec for EnrichImage {
    const TYPE: &'static str = "enrich.image";
    const TITLE: &'static str = "Describe images";
    const DESCRIPTION: &'static str = "Describes images, as documents that can be cut, embedded and searched.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Bytes, Flow::Document)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        problems.range("maxWords", self.max_words, 5, 2000);
    }

    fn example() -> Self {
        Self { model: ModelCall::example(), max_words: 80, field: default_field() }
    }
}
