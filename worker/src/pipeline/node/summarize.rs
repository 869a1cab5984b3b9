//! Model: summaries of texts.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::{NodeSpec, ResultKind, summarize::Summarize};
use serde_json::{Value, json};

use super::prompting::{self, Part, TextTask};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

#[async_trait]
impl Behaviour for Summarize {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        prompting::run(self, call, input).await
    }
}

impl TextTask for Summarize {
    const TYPE: &'static str = <Self as NodeSpec>::TYPE;

    fn prompt(&self) -> Option<&str> {
        self.model.prompt.as_deref()
    }

    fn field(&self) -> &str {
        &self.field
    }

    fn result(&self) -> ResultKind {
        self.result
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let language = self.language.clone().unwrap_or_else(|| "the language of the text".to_owned());
        vec![("maxWords", self.max_words.to_string()), ("language", language)]
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "properties": { "summary": { "type": "string", "minLength": 1 } }, "required": ["summary"],
            "additionalProperties": false,
        })
    }

    fn merge(&self, parts: &[Part<'_>]) -> Value {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.answer["summary"].as_str()).collect();
        texts.join("\n\n").into()
    }

    fn reduced<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer["summary"].as_str()
    }
}
