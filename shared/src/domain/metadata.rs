//! Custom metadata of files: a JSON object within limits.

use serde_json::{Map, Value};

/// Maximum size as JSON, in bytes.
pub const MAX_BYTES: usize = 65_536;
/// Maximum nesting; the object itself is the first level.
pub const MAX_DEPTH: usize = 8;
/// Maximum number of values at all levels. A value takes many times its JSON in memory.
pub const MAX_VALUES: usize = 4_096;

/// The rule that metadata violate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// See [`MAX_BYTES`].
    #[error("must have at most {MAX_BYTES} bytes as JSON")]
    TooLarge,
    /// See [`MAX_DEPTH`].
    #[error("must be nested at most {MAX_DEPTH} levels deep")]
    TooDeep,
    /// See [`MAX_VALUES`].
    #[error("must have at most {MAX_VALUES} values")]
    TooManyValues,
    /// PostgreSQL cannot store it.
    #[error("must not contain a NUL character")]
    Nul,
}

/// Fails unless the metadata are within the limits.
///
/// # Errors
/// [`MetadataError`] for the first violated rule.
pub fn check(metadata: &Map<String, Value>) -> Result<(), MetadataError> {
    let mut walk = Walk::default();
    walk.object(metadata, 1)?;
    let json = serde_json::to_string(metadata).map_or(usize::MAX, |json| json.len());
    if json.saturating_add(walk.expanded_bytes) > MAX_BYTES { Err(MetadataError::TooLarge) } else { Ok(()) }
}

#[derive(Default)]
struct Walk {
    values: usize,
    /// The bytes that PostgreSQL's text of the numbers has above that of the JSON: it writes exponents out.
    expanded_bytes: usize,
}

impl Walk {
    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Result<(), MetadataError> {
        for (key, value) in object {
            check_text(key)?;
            self.value(value, depth)?;
        }
        Ok(())
    }

    /// A value at this level.
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), MetadataError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(MetadataError::TooManyValues);
        }
        if depth >= MAX_DEPTH && (value.is_array() || value.is_object()) {
            return Err(MetadataError::TooDeep);
        }
        match value {
            Value::Object(object) => self.object(object, depth + 1),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
            Value::String(text) => check_text(text),
            Value::Number(number) => {
                if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                    self.expanded_bytes += float.to_string().len().saturating_sub(number.to_string().len());
                }
                Ok(())
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }
}

fn check_text(text: &str) -> Result<(), MetadataError> {
    if text.contains('\0') { Err(MetadataError::Nul) } else { Ok(()) }
}

/// Merges changes into metadata, as JSON Merge Patch (RFC 7396) has it: `null` removes a key, objects are merged, other values
/// are replaced.
pub fn merge(metadata: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (key, change) in changes {
        match change {
            Value::Null => {
                metadata.remove(&key);
            }
            Value::Object(changes) => {
                let mut inner = match metadata.remove(&key) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                merge(&mut inner, changes);
                metadata.insert(key, Value::Object(inner));
            }
            value => {
                metadata.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// Lists nested in the object, which is the first level.
    fn nested(levels: usize) -> Map<String, Value> {
        object(json!({ "x": (1..levels).fold(json!(1), |inner, _| json!([inner])) }))
    }

    #[test]
    fn limits_are_exact() {
        let sized = |chars: usize| object(json!({ "x": "y".repeat(chars - r#"{"x":""}"#.len()) }));
        assert_eq!(check(&sized(MAX_BYTES)), Ok(()));
        assert_eq!(check(&sized(MAX_BYTES + 1)), Err(MetadataError::TooLarge));
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(MetadataError::TooDeep));
        assert_eq!(check(&object(json!({ "x": vec![0; MAX_VALUES - 1] }))), Ok(()));
        assert_eq!(check(&object(json!({ "x": vec![0; MAX_VALUES] }))), Err(MetadataError::TooManyValues));
        assert_eq!(check(&Map::new()), Ok(()));
    }

    #[test]
    fn nul_is_rejected_in_keys_and_values() {
        for metadata in [json!({ "a\0": 1 }), json!({ "a": "\0" }), json!({ "a": [{ "b": "x\0y" }] })] {
            assert_eq!(check(&object(metadata)), Err(MetadataError::Nul));
        }
    }

    #[test]
    fn exponents_count_as_the_digits_that_they_stand_for() {
        assert_eq!(check(&object(json!({ "x": vec![1e300; 200] }))), Ok(()));
        assert_eq!(check(&object(json!({ "x": vec![1e300; 250] }))), Err(MetadataError::TooLarge));
        assert_eq!(check(&object(json!({ "x": vec![1e-300; 250] }))), Err(MetadataError::TooLarge));
    }

    /// The examples of RFC 7396, appendix A, that change objects.
    #[test]
    fn merge_follows_json_merge_patch() {
        for (before, changes, after) in [
            (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "b" }), json!({ "b": "c" }), json!({ "a": "b", "b": "c" })),
            (json!({ "a": "b" }), json!({ "a": null }), json!({})),
            (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
            (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "c" }), json!({ "a": ["b"] }), json!({ "a": ["b"] })),
            (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
            (json!({ "a": [{ "b": "c" }] }), json!({ "a": [1] }), json!({ "a": [1] })),
            (json!({ "e": null }), json!({ "a": 1 }), json!({ "e": null, "a": 1 })),
            (json!({ "a": "foo" }), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
        ] {
            let mut metadata = object(before.clone());
            merge(&mut metadata, object(changes.clone()));
            assert_eq!(Value::Object(metadata), after, "{before} with {changes}");
        }
    }
}
