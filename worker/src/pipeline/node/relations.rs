//! Model: statements about entities in texts.

use nvisy_shared::pipeline::node::relations::Relations;
use serde_json::{Value, json};

use super::{
    found_text::objects,
    prompting::{Part, TextTask, asks_about_texts},
};

asks_about_texts!(Relations);

impl TextTask for Relations {
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
