//! Model: names of people, places and other entities in texts.

use nvisy_shared::pipeline::node::extract_entities::ExtractEntities;
use serde_json::{Value, json};

use super::{
    found_text::objects,
    prompting::{Part, TextTask, asks_about_texts},
};

asks_about_texts!(ExtractEntities);

impl TextTask for ExtractEntities {
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
