//! JSON Schemas of nodes, compiled once in a worker: for a short text, compiling one takes longer than the rest of a call.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use jsonschema::Validator;
use nvisy_shared::pipeline::{json_output, node::service};
use serde_json::Value;

/// Bytes of the texts of all schemas that a worker remembers. A compiled schema takes several times as many.
const MAX_REMEMBERED_BYTES: usize = 512 * 1024;

/// What a schema describes; each is compiled in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Described {
    /// The answer of a model.
    ModelOutput,
    /// The requests or responses of a service.
    Service,
}

/// Compiled schemas by their texts, which have everything that they depend on.
#[derive(Default)]
struct Schemas {
    compiled: HashMap<(Described, String), Arc<Validator>>,
    /// Of the texts.
    bytes: usize,
}

static SCHEMAS: LazyLock<Mutex<Schemas>> = LazyLock::new(Mutex::default);

/// The validator of a schema.
///
/// # Errors
/// The reason why the schema cannot be used.
pub(super) fn validator(described: Described, schema: &Value) -> Result<Arc<Validator>, String> {
    remembered(&SCHEMAS, described, schema)
}

fn remembered(schemas: &Mutex<Schemas>, described: Described, schema: &Value) -> Result<Arc<Validator>, String> {
    let key = (described, schema.to_string());
    if let Some(known) = lock(schemas).compiled.get(&key) {
        return Ok(Arc::clone(known));
    }
    let compiled = Arc::new(match described {
        Described::ModelOutput => json_output::validator(schema)?,
        Described::Service => service::schema(schema)?,
    });
    // A pattern of a few bytes can take a megabyte.
    if !key.1.contains("\"pattern") {
        lock(schemas).insert(key, Arc::clone(&compiled));
    }
    Ok(compiled)
}

fn lock(schemas: &Mutex<Schemas>) -> MutexGuard<'_, Schemas> {
    schemas.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Schemas {
    fn insert(&mut self, key: (Described, String), compiled: Arc<Validator>) {
        let bytes = key.1.len();
        if self.bytes + bytes > MAX_REMEMBERED_BYTES {
            *self = Self::default();
        }
        if self.compiled.insert(key, compiled).is_none() {
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_is_compiled_once_for_each_use() {
        let schemas = Mutex::default();
        let schema = json!({ "type": "object", "required": ["a"] });
        let first = remembered(&schemas, Described::ModelOutput, &schema).unwrap();
        assert!(Arc::ptr_eq(&first, &remembered(&schemas, Described::ModelOutput, &schema).unwrap()));
        assert!(!Arc::ptr_eq(&first, &remembered(&schemas, Described::Service, &schema).unwrap()));
        assert!(first.is_valid(&json!({ "a": 1 })) && !first.is_valid(&json!({})));
        assert!(remembered(&schemas, Described::Service, &json!({ "type": "no type" })).is_err());
    }

    #[test]
    fn schema_with_a_pattern_is_not_kept_in_memory() {
        let schemas = Mutex::default();
        for schema in [
            json!({ "properties": { "a": { "pattern": "^a+$" } } }),
            json!({ "patternProperties": { "^a": { "type": "string" } } }),
        ] {
            remembered(&schemas, Described::Service, &schema).unwrap();
        }
        assert!(lock(&schemas).compiled.is_empty());
    }

    #[test]
    fn remembered_schemas_are_bounded_by_their_texts() {
        let schemas = Mutex::default();
        for number in 0..40 {
            let description = format!("{number} {}", "a".repeat(20_000));
            remembered(&schemas, Described::Service, &json!({ "description": description })).unwrap();
        }
        let kept = lock(&schemas);
        let bytes: usize = kept.compiled.keys().map(|(_, text)| text.len()).sum();
        assert_eq!(kept.bytes, bytes);
        assert!((1..=MAX_REMEMBERED_BYTES).contains(&bytes), "{bytes}");
    }
}
