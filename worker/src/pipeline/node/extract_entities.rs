//! Model: names of people, places and other entities in texts.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::{NodeSpec, ResultKind, extract_entities::ExtractEntities};
use serde_json::{Value, json};

use super::{
    found_text::objects,
    prompting::{self, Part, TextTask},
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
    },
    runner::JobError,
};

#[async_trait]
impl Behaviour for ExtractEntities {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        prompting::run(self, call, input).await
    }
}

impl TextTask for ExtractEntities {
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
        vec![("types", self.types.iter().map(|kind| format!("- {kind}")).collect::<Vec<_>>().join("\n"))]
    }

    fn schema(&self) -> Value {
        let entity = json!({
            "type": "object",
            "properties": { "text": { "type": "string", "minLength": 1 }, "type": { "type": "string", "enum": self.types } },
            "required": ["text", "type"], "additionalProperties": false,
        });
        json!({
            "type": "object", "properties": { "entities": { "type": "array", "items": entity } }, "required": ["entities"],
            "additionalProperties": false,
        })
    }

    fn merge(&self, parts: &[Part<'_>]) -> Value {
        objects(parts, "entities", "text", &["text", "type"])
    }
}
