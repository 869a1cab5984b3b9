//! `contextualize`: gives chunks a contextual prefix that a model writes.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, calls_model, validate_prompt},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

const fn default_max_words() -> u32 {
    40
}

/// Settings of `contextualize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contextualize {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The largest number of words of a prefix. The chunker before leaves room for them with `maxTokens`: a prefix that does not fit
    /// the embedding model is shortened.
    #[serde(default = "default_max_words")]
    #[schemars(range(min = 5, max = 200))]
    pub max_words: u32,
}

impl NodeSpec for Contextualize {
    const TYPE: &'static str = "contextualize";
    const TITLE: &'static str = "Contextualize";
    const DESCRIPTION: &'static str =
        "Writes a sentence for each chunk that says what it is about within its document, and is embedded with it.";
    const CODE_VERSION: u32 = 1;
    // The name of the file is part of the question.
    const READS_FILE: bool = true;
    // A prefix is shortened to what the embedding model reads.
    const READS_MODEL: bool = true;

    calls_model!();

    fn ports(&self) -> Ports {
        Ports::pass(&[Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate_prompt(self.model.prompt.as_ref(), problems);
        problems.range("maxWords", self.max_words, 5, 200);
    }

    fn example() -> Self {
        Self {
            model: ModelCall {
                prompt: Some("Name the subject of the last passage. {{text}}".to_owned()),
                ..ModelCall::example()
            },
            max_words: 30,
        }
    }
}
