//! The schema of `expand`, in which each form has one field.

use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde_json::{Value, json};

/// For `#[schemars(with = "..")]`.
pub struct ExpandSchema;

impl JsonSchema for ExpandSchema {
    fn schema_name() -> String {
        "Expand".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let form = |name: &str, value: Value| {
            json!({
                "type": "object", "properties": { name: value }, "required": [name], "additionalProperties": false,
            })
        };
        let neighbours = json!({
            "type": "integer", "minimum": 0, "maximum": 3,
            "description": "So many passages before and after each hit.",
        });
        let section = json!({
            "type": "boolean",
            "description": "The passages under the headings of each hit, and under the headings below them.",
        });
        let schema = json!({
            "description": "The text around each hit.",
            "anyOf": [form("neighbours", neighbours), form("section", section)],
        });
        serde_json::from_value(schema).expect("the schema is valid")
    }
}
