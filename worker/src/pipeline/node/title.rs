//! Model: titles of texts.

use nvisy_shared::pipeline::node::title::Title;
use serde_json::{Value, json};

use super::prompting::{Part, TextTask, asks_about_texts};

asks_about_texts!(Title);

impl TextTask for Title {
    const READS_BEGINNING: bool = true;

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
