//! Model: labels for texts.

use nvisy_shared::pipeline::node::classify::Classify;
use serde_json::{Value, json};

use super::prompting::{Part, TextTask, asks_about_texts};

asks_about_texts!(Classify);

impl TextTask for Classify {
    fn values(&self) -> Vec<(&'static str, String)> {
        let labels = self.labels.iter().map(|label| format!("- {label}")).collect::<Vec<_>>().join("\n");
        let rule = if self.multiple { "Several labels may fit, or none." } else { "Exactly one label must be chosen." };
        vec![("labels", labels), ("rule", rule.to_owned())]
    }

    fn schema(&self) -> Value {
        let label = json!({ "type": "string", "enum": self.labels });
        let (name, schema) = if self.multiple {
            ("labels", json!({ "type": "array", "items": label, "uniqueItems": true }))
        } else {
            ("label", label)
        };
        json!({
            "type": "object", "properties": { name: schema }, "required": [name], "additionalProperties": false,
        })
    }

    /// All labels of the parts, or the one of the most bytes.
    fn merge(&self, parts: &[Part<'_>]) -> Value {
        let bytes = |label: &str| {
            let of = parts.iter().filter(|part| part.answer.get("label").and_then(Value::as_str) == Some(label));
            of.map(|part| part.text.len()).sum::<usize>()
        };
        if self.multiple {
            let has = |part: &Part<'_>, label: &str| {
                part.answer["labels"].as_array().is_some_and(|labels| labels.iter().any(|one| one == label))
            };
            let found = self.labels.iter().filter(|label| parts.iter().any(|part| has(part, label)));
            return found.map(String::as_str).collect();
        }
        // The first of equal ones, in the order of the settings.
        self.labels.iter().rev().max_by_key(|label| bytes(label)).map_or(Value::Null, |label| label.as_str().into())
    }
}
