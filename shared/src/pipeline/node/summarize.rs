//! `summarize`: summarizes texts.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

fn default_max_words() -> u32 {
    120
}

/// Settings of `summarize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summarize {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The largest number of words.
    #[serde(default = "default_max_words")]
    #[schemars(range(min = 5, max = 2000))]
    pub max_words: u32,
    /// The language of the summary; absent: that of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 60))]
    pub language: Option<String>,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "summary".to_owned()
}

impl NodeSpec for Summarize {
    const TYPE: &'static str = "summarize";
    const TITLE: &'static str = "Summarize";
    const DESCRIPTION: &'static str = "Summarizes texts.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        problems.range("maxWords", self.max_words, 5, 2000);
        if self.language.as_ref().is_some_and(|language| language.is_empty() || language.len() > 60) {
            problems.add(ProblemCode::InvalidSetting, "language", "must have 1 to 60 bytes", "name a language");
        }
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            max_words: 80,
            language: Some("English".to_owned()),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
