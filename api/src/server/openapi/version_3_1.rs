//! The document in OpenAPI 3.1, whose schemas are JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use super::schemas::{each_root, each_schema};

pub fn converted(document: &Value) -> Value {
    let mut document = document.clone();
    document["openapi"] = "3.1.1".into();
    document["info"]["license"] = json!({ "name": "Apache-2.0", "identifier": "Apache-2.0" });
    each_root(&mut document, &mut |schema| each_schema(schema, &mut convert));
    document
}

fn convert(schema: &mut Map<String, Value>) {
    if schema.remove("nullable") == Some(Value::Bool(true)) {
        if let Some(kind) = schema.get_mut("type") {
            *kind = json!([kind.take(), "null"]);
        }
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    if let Some(example) = schema.remove("example") {
        schema.insert("examples".to_owned(), json!([example]));
    }
    // A reference can have siblings in 3.1.
    let only = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1).map(|all| all[0].clone());
    if let Some(reference) = only.as_ref().and_then(|only| only.get("$ref")) {
        schema.remove("allOf");
        schema.insert("$ref".to_owned(), reference.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_type_and_examples_are_a_list() {
        let document = json!({
            "info": {},
            "paths": {},
            "components": { "schemas": {
                "Change": {
                    "type": "object",
                    "example": { "days": null },
                    "properties": {
                        "days": { "type": "integer", "nullable": true },
                        "limits": { "allOf": [{ "$ref": "#/components/schemas/Limits" }], "description": "Limits." },
                    },
                },
            } }
        });
        let change = converted(&document)["components"]["schemas"]["Change"].take();
        let expected = json!({
            "type": "object",
            "examples": [{ "days": null }],
            "properties": {
                "days": { "type": ["integer", "null"] },
                "limits": { "$ref": "#/components/schemas/Limits", "description": "Limits." },
            },
        });
        assert_eq!(change, expected);
    }
}
