//! Model: values from texts, in the form of a JSON Schema.

use nvisy_shared::pipeline::node::extract_json::ExtractJson;
use serde_json::{Map, Value, json};

use super::{
    found_text::find,
    prompting::{Part, TextTask, asks_about_texts},
};

asks_about_texts!(ExtractJson);

impl TextTask for ExtractJson {
    fn values(&self) -> Vec<(&'static str, String)> {
        vec![("schema", serde_json::to_string_pretty(&self.schema).unwrap_or_default())]
    }

    fn schema(&self) -> Value {
        self.schema.clone()
    }

    /// Of several parts, the first value that says something; lists are joined. `_sources` says where values stand.
    fn merge(&self, parts: &[Part<'_>]) -> Value {
        let mut merged = Map::new();
        for part in parts {
            for (key, value) in part.answer.as_object().into_iter().flatten() {
                match (merged.get_mut(key), value) {
                    (Some(Value::Array(all)), Value::Array(more)) => {
                        all.extend(more.iter().filter(|value| !all.contains(value)).cloned().collect::<Vec<_>>());
                    }
                    (Some(known), value) if is_nothing(known) => *known = value.clone(),
                    (Some(_), _) => {}
                    (None, value) => {
                        merged.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        let sources = sources(parts, &Value::Object(merged.clone()));
        merged.insert("_sources".to_owned(), sources);
        Value::Object(merged)
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Where texts and numbers of the value stand in the document word for word, by JSON Pointer.
fn sources(parts: &[Part<'_>], value: &Value) -> Value {
    let mut found = Vec::new();
    collect(value, String::new(), &mut |path, text| {
        if let Some((start, end)) = parts.iter().find_map(|part| find(part, text)) {
            found.push(json!({ "path": path, "start": start, "end": end }));
        }
    });
    Value::Array(found)
}

fn collect(value: &Value, path: String, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => visit(&path, text),
        Value::Number(number) => visit(&path, &number.to_string()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{path}/{index}"), visit));
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(value, format!("{path}/{key}"), visit);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use nvisy_shared::pipeline::node::NodeSpec;

    use super::*;

    #[test]
    fn parts_are_merged_and_values_located() {
        let node = ExtractJson::example();
        let answer = |json: Value, start, text| Part { start, text, answer: json };
        let parts = [
            answer(json!({ "total": null, "items": ["a"], "by": "Ada" }), 0, "by Ada: a"),
            answer(json!({ "total": 42, "items": ["a", "b"], "by": "Bert" }), 10, "b, total 42"),
        ];
        let merged = node.merge(&parts);
        assert_eq!(
            (&merged["total"], &merged["items"], &merged["by"]),
            (&json!(42), &json!(["a", "b"]), &json!("Ada"))
        );
        assert!(merged["_sources"].as_array().unwrap().contains(&json!({ "path": "/total", "start": 19, "end": 21 })));
    }
}
