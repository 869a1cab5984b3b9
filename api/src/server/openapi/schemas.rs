//! Schemas as foreign tools read them: without what only schemars understands, and with the same meaning.
//!
//! - No titles: generators take the title of a variant for the name of a type, which then replaces another one.
//! - An enumeration is one list of values; its variants' descriptions become part of its own.
//! - `nullable` only beside a `type`, and never in responses, where a field without a value is absent.
//! - No default of `null`: an absent field keeps its value, and clients send the defaults that they know.
//! - Formats and limits that JSON Schema knows.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Simplifies all schemas.
pub fn simplify(document: &mut Value) {
    each_root(document, &mut |schema| each_schema(schema, &mut simplify_one));
    remove_null_from_responses(document);
    each_parameter(document, |schema| {
        schema.remove("nullable");
    });
}

fn simplify_one(schema: &mut Map<String, Value>) {
    schema.remove("title");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    merge_enumeration(schema);
    if !schema.contains_key("type") {
        schema.remove("nullable");
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str).filter(|format| format.starts_with("uint")) {
        let format = if matches!(format, "uint8" | "uint16") { "int32" } else { "int64" };
        schema.insert("format".to_owned(), format.into());
    }
    for limit in ["minimum", "maximum"] {
        let whole = schema.get(limit).and_then(Value::as_f64).filter(|number| number.fract() == 0.0);
        if let Some(number) = whole.filter(|number| number.abs() <= MAX_EXACT) {
            schema.insert(limit.to_owned(), json!(number as i64));
        }
    }
}

/// The largest integer that a double holds exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Replaces variants with one value each by a list of values.
fn merge_enumeration(schema: &mut Map<String, Value>) {
    let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else { return };
    let value = |variant: &Value| match variant["enum"].as_array().map(Vec::as_slice) {
        Some([value]) => Some(value.clone()),
        _ => None,
    };
    let Some(values) = variants.iter().map(value).collect::<Option<Vec<_>>>() else { return };
    let lines: Vec<String> = variants
        .iter()
        .zip(&values)
        .filter_map(|(variant, value)| Some(format!("- `{}`: {}", value.as_str()?, variant["description"].as_str()?)))
        .collect();
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n\n{}", lines.join("\n"));
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), values.into());
    schema.insert("description".to_owned(), description.trim().into());
}

/// Calls `visit` with the schema and all schemas in it.
pub fn each_schema(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    visit(object);
    for (keyword, value) in object {
        match keyword.as_str() {
            "properties" | "patternProperties" => {
                value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| each_schema(schema, visit));
            }
            "allOf" | "anyOf" | "oneOf" => {
                value.as_array_mut().into_iter().flatten().for_each(|schema| each_schema(schema, visit));
            }
            "items" | "additionalProperties" | "not" => each_schema(value, visit),
            _ => {}
        }
    }
}

/// Calls `visit` with every schema that is not part of another one.
pub fn each_root(document: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    for (_, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        visit(schema);
    }
    each_inline(&mut document["paths"], visit);
}

/// The schemas of parameters, headers and media types.
fn each_inline(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "schema" => visit(value),
                    "example" | "examples" => {}
                    _ => each_inline(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_inline(item, visit)),
        _ => {}
    }
}

fn each_parameter(document: &mut Value, mut visit: impl FnMut(&mut Map<String, Value>)) {
    super::operations::each_operation(document, |operation| {
        let parameters = operation.object.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if let Some(schema) = parameter["schema"].as_object_mut() {
                visit(schema);
            }
        }
    });
}

/// Responses omit a field without a value.
fn remove_null_from_responses(document: &mut Value) {
    let mut requested = BTreeSet::new();
    for (_, operations) in document["paths"].as_object().into_iter().flatten() {
        for (_, operation) in operations.as_object().into_iter().flatten() {
            collect_names(document, &operation["requestBody"], &mut requested);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if !requested.contains(name) {
            each_schema(schema, &mut |schema| {
                schema.remove("nullable");
            });
        }
    }
}

/// The names of the component schemas that a value refers to, also indirectly.
fn collect_names(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/components/schemas/"))
                && names.insert(name.to_owned())
            {
                collect_names(document, &document["components"]["schemas"][name], names);
            }
            fields.values().for_each(|value| collect_names(document, value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(document, item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simplified(mut schema: Value) -> Value {
        each_schema(&mut schema, &mut simplify_one);
        schema
    }

    #[test]
    fn variants_become_one_list_of_values() {
        let role = simplified(json!({
            "title": "Role", "description": "A role.",
            "oneOf": [
                { "title": "guest", "type": "string", "enum": ["guest"], "description": "Reads." },
                { "title": "member", "type": "string", "enum": ["member"] },
            ]
        }));
        let description = "A role.\n\n- `guest`: Reads.";
        assert_eq!(role, json!({ "type": "string", "enum": ["guest", "member"], "description": description }));
    }

    #[test]
    fn null_needs_a_type_and_is_no_default() {
        let schema = simplified(json!({
            "properties": {
                "title": { "type": "string", "nullable": true, "default": null },
                "limits": { "allOf": [{ "$ref": "#/x" }], "nullable": true },
            }
        }));
        let expected = json!({
            "properties": { "title": { "type": "string", "nullable": true }, "limits": { "allOf": [{ "$ref": "#/x" }] } }
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn numbers_have_known_formats_and_whole_limits() {
        let number = simplified(json!({ "type": "integer", "format": "uint32", "minimum": 0.0, "maximum": 100.0 }));
        assert_eq!(number, json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": 100 }));
        assert_eq!(simplified(json!({ "minimum": 0.5 })), json!({ "minimum": 0.5 }));
    }
}
