//! Model: titles of texts.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::{NodeSpec, ResultKind, title::Title};
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
impl Behaviour for Title {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        prompting::run(self, call, input).await
    }
}

impl TextTask for Title {
    const TYPE: &'static str = <Self as NodeSpec>::TYPE;
    const READS_BEGINNING: bool = true;

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
        vec![("maxWords", self.max_words.to_string())]
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "properties": { "title": { "type": "string", "minLength": 1, "maxLength": 500 } },
            "required": ["title"], "additionalProperties": false,
        })
    }

    fn merge(&self, parts: &[Part<'_>]) -> Value {
        parts.first().map_or(Value::Null, |part| part.answer["title"].clone())
    }
}
