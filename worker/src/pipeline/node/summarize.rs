//! Model: summaries of texts.

use nvisy_shared::pipeline::node::summarize::Summarize;
use serde_json::{Value, json};

use super::prompting::{Part, TextTask, asks_about_texts};

asks_about_texts!(Summarize);

impl TextTask for Summarize {
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
