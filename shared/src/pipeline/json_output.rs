//! Checking values by JSON Schemas: those of answers of models, and the schemas that users write.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Maximum size of a schema, in bytes.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Errors that are reported, of all.
const MAX_ERRORS: usize = 5;
/// Maximum length of a reported error, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// Checks that a schema is one, and that it describes an object.
///
/// # Errors
/// The reason why it cannot be used.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(format!("has more than {MAX_SCHEMA_BYTES} bytes"));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("must have `\"type\": \"object\"`".to_owned());
    }
    validator(schema).map(drop)
}

/// The validator of a schema. Patterns run in linear time, and no reference is fetched.
///
/// # Errors
/// The reason why the schema cannot be used.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| shorten(&error.to_string()))
}

/// The reasons why a value does not fit, for the model that gave it; empty: it fits.
#[must_use]
pub fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value).take(MAX_ERRORS);
    errors
        .map(|error| {
            let path = error.instance_path().to_string();
            shorten(&format!("{}: {error}", if path.is_empty() { "the value" } else { &path }))
        })
        .collect()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_must_be_valid_and_describe_an_object() {
        assert_eq!(check_schema(&json!({ "type": "object" })), Ok(()));
        for invalid in [
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": 3 }),
            json!({ "type": "object", "properties": { "a": { "$ref": "http://127.0.0.1/schema.json" } } }),
            json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": "(" } } }),
            json!(true),
        ] {
            assert!(check_schema(&invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a", "b"] });
        let validator = validator(&schema).unwrap();
        assert!(errors(&validator, &json!({ "a": 1, "b": null })).is_empty());
        let found = errors(&validator, &json!({ "a": "x" }));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|error| error.starts_with("/a")), "{found:?}");
    }
}
