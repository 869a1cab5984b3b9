//! Model: statements about entities in texts.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::{NodeSpec, ResultKind, relations::Relations};
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
impl Behaviour for Relations {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        prompting::run(self, call, input).await
    }
}

impl TextTask for Relations {
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
        let predicates = match self.predicates.as_slice() {
            [] => String::new(),
            some => format!("Use these predicates only: {}.", some.join(", ")),
        };
        vec![("predicates", predicates)]
    }

    fn schema(&self) -> Value {
        let text = json!({ "type": "string", "minLength": 1 });
        let predicate = match self.predicates.as_slice() {
            [] => text.clone(),
            some => json!({ "type": "string", "enum": some }),
        };
        let relation = json!({
            "type": "object",
            "properties": { "subject": text, "predicate": predicate, "object": text },
            "required": ["subject", "predicate", "object"], "additionalProperties": false,
        });
        json!({
            "type": "object", "properties": { "relations": { "type": "array", "items": relation } },
            "required": ["relations"], "additionalProperties": false,
        })
    }

    /// The byte range of a relation is that of its subject.
    fn merge(&self, parts: &[Part<'_>]) -> Value {
        objects(parts, "relations", "subject", &["subject", "predicate", "object"])
    }
}
