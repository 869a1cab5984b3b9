//! Model: the attitude of texts.

use nvisy_shared::pipeline::node::sentiment::Sentiment;
use serde_json::{Value, json};

use super::prompting::{Part, TextTask, asks_about_texts};

asks_about_texts!(Sentiment);

impl TextTask for Sentiment {
    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "sentiment": { "type": "string", "enum": ["negative", "neutral", "positive", "mixed"] },
                "score": { "type": "number", "minimum": -1, "maximum": 1 },
            },
            "required": ["sentiment", "score"], "additionalProperties": false,
        })
    }

    /// The score of several parts is their mean by length; parts of opposite sentiments are mixed.
    fn merge(&self, parts: &[Part<'_>]) -> Value {
        let sentiments: Vec<&str> = parts.iter().filter_map(|part| part.answer["sentiment"].as_str()).collect();
        let has = |name: &str| sentiments.contains(&name);
        let sentiment = if has("mixed") || has("positive") && has("negative") {
            "mixed"
        } else {
            ["positive", "negative"].into_iter().find(|name| has(name)).unwrap_or("neutral")
        };
        let bytes: f64 = parts.iter().map(|part| part.text.len() as f64).sum();
        let scores =
            parts.iter().map(|part| part.answer["score"].as_f64().unwrap_or_default() * part.text.len() as f64);
        let score = if bytes > 0.0 { scores.sum::<f64>() / bytes } else { 0.0 };
        json!({ "sentiment": sentiment, "score": (score * 1000.0).round() / 1000.0 })
    }
}
