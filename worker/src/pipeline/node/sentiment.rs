//! Model: the attitude of texts.

use async_trait::async_trait;
use nvisy_shared::pipeline::node::{NodeSpec, ResultKind, sentiment::Sentiment};
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
impl Behaviour for Sentiment {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        prompting::run(self, call, input).await
    }
}

impl TextTask for Sentiment {
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
