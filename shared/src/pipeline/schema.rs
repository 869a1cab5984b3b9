//! The JSON Schemas of node types and definitions, for editors.

use json_schema::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{
    compile::{MAX_EDGES, MAX_NODES, MAX_SLOTS},
    definition::SCHEMA_VERSION,
    id::MAX_ID_BYTES,
    node::{NodeType, node_types},
    options::NodeOptions,
};

/// The JSON Schema of a node of a type: id, type, settings and common options side by side.
#[must_use]
pub fn node_schema(of: &NodeType) -> Value {
    let mut properties = properties(of.schema.as_value());
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    properties.extend(self::properties(generator.into_generator().into_root_schema_for::<NodeOptions>().as_value()));
    properties.insert("id".to_owned(), id_schema());
    properties.insert("type".to_owned(), json!({ "const": of.name }));
    let mut required = vec![json!("id"), json!("type")];
    required.extend(of.schema.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
    json!({
        "type": "object", "title": of.title, "description": of.description, "properties": properties,
        "required": required, "additionalProperties": false,
    })
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn id_schema() -> Value {
    json!({ "type": "string", "pattern": format!("^[A-Za-z][A-Za-z0-9_-]{{0,{}}}$", MAX_ID_BYTES - 1) })
}

/// The JSON Schema of a definition.
#[must_use]
pub fn definition_schema() -> Value {
    let nodes: Vec<Value> = node_types().iter().map(node_schema).collect();
    let end = json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*(\\.[A-Za-z][A-Za-z0-9_-]*)?$" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Definition",
        "type": "object",
        "properties": {
            "schemaVersion": { "const": SCHEMA_VERSION },
            "nodes": { "type": "array", "minItems": 1, "maxItems": MAX_NODES, "items": { "oneOf": nodes } },
            "slots": {
                "type": "array", "maxItems": MAX_SLOTS,
                "items": {
                    "type": "object", "properties": { "id": id_schema() }, "required": ["id"],
                    "additionalProperties": false,
                },
            },
            "edges": {
                "type": "array", "maxItems": MAX_EDGES,
                "items": {
                    "type": "object", "properties": { "from": end.clone(), "to": end }, "required": ["from", "to"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["schemaVersion", "nodes", "edges"],
        "additionalProperties": false,
    })
}
