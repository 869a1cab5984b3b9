//! The schema of the filter language in the OpenAPI document: what `nvisy_shared::domain::filter` parses, type by type.

use nvisy_shared::domain::{self, failure::FailureCode, file::FileState};
use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde_json::{Value, json};

/// The largest integer that every JSON library reads exactly.
const MAX_INTEGER: i64 = domain::filter::MAX_INTEGER;

const MAX_ITEMS: u32 = 100;

const EQUALITY: [&str; 2] = ["eq", "ne"];
const ORDER: [&str; 4] = ["gt", "gte", "lt", "lte"];
const COMPARISON: [&str; 6] = ["eq", "ne", "gt", "gte", "lt", "lte"];
const MEMBERSHIP: [&str; 2] = ["in", "nin"];

/// For `#[schemars(with = "..")]`.
pub struct FilterSchema;

impl JsonSchema for FilterSchema {
    fn schema_name() -> String {
        "Filter".to_owned()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parts = parts();
        let variants: Vec<_> = parts.iter().map(|(name, _)| reference(name)).collect();
        for (name, part) in parts {
            generator.definitions_mut().insert(name.to_owned(), schema(part));
        }
        schema(json!({
            "description": "A condition on files: at most 200, connectives included, nested at most 8 levels deep.",
            "anyOf": variants,
        }))
    }
}

fn schema(json: Value) -> Schema {
    serde_json::from_value(json).expect("the schema is valid")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parts() -> Vec<(&'static str, Value)> {
    let id = || json!({ "type": "string", "format": "uuid" });
    let text = || json!({ "type": "string", "maxLength": 1000, "pattern": r"^[^\u0000]*$" });
    let integer = || json!({ "type": "integer", "format": "int64", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER });
    let time = || json!({ "type": "string", "format": "date-time" });
    let any = || json!({ "oneOf": [text(), { "type": "number" }, { "type": "boolean" }] });
    let ordered = || json!({ "oneOf": [text(), { "type": "number" }] });
    let one_of = |fields: &[&str]| json!({ "type": "string", "enum": fields });
    let metadata = || {
        json!({
            "description": "`metadata.` and a key, or a path of keys separated by dots.",
            "type": "string", "maxLength": 1000, "pattern": r"^metadata(\.[^.\u0000]+)+$",
        })
    };
    let (ids, tags, texts) = (|| one_of(&["id"]), || one_of(&["tags"]), || one_of(&["name", "mediaType"]));
    let (integers, times) = (|| one_of(&["size", "pageCount"]), || one_of(&["createdAt"]));
    let (states, failures) = (|| one_of(&["state"]), || one_of(&["failure"]));
    let state = || one_of(&FileState::ALL.map(FileState::name));
    let code = || one_of(&FailureCode::all().map(FailureCode::as_str).collect::<Vec<_>>());
    vec![
        ("FilterAnd", connective("and", list(reference("Filter"), MAX_ITEMS), "All conditions hold.")),
        ("FilterOr", connective("or", list(reference("Filter"), MAX_ITEMS), "At least one condition holds.")),
        ("FilterNot", connective("not", reference("Filter"), "The condition does not hold.")),
        ("IdCondition", condition(ids(), &EQUALITY, id())),
        ("IdListCondition", condition(ids(), &MEMBERSHIP, list(id(), 200))),
        ("TagCondition", condition(tags(), &EQUALITY, text())),
        ("TagListCondition", condition(tags(), &MEMBERSHIP, list(text(), 200))),
        ("TextCondition", condition(texts(), &COMPARISON, text())),
        ("TextListCondition", condition(texts(), &MEMBERSHIP, list(text(), 200))),
        ("IntegerCondition", condition(integers(), &COMPARISON, integer())),
        ("IntegerListCondition", condition(integers(), &MEMBERSHIP, list(integer(), 200))),
        ("TimeCondition", condition(times(), &COMPARISON, time())),
        ("TimeListCondition", condition(times(), &MEMBERSHIP, list(time(), 200))),
        ("StateCondition", condition(states(), &EQUALITY, state())),
        ("StateListCondition", condition(states(), &MEMBERSHIP, list(state(), 200))),
        ("FailureCondition", condition(failures(), &EQUALITY, code())),
        ("FailureListCondition", condition(failures(), &MEMBERSHIP, list(code(), 200))),
        ("MetadataCondition", condition(metadata(), &EQUALITY, any())),
        ("MetadataOrderCondition", condition(metadata(), &ORDER, ordered())),
        ("MetadataListCondition", condition(metadata(), &MEMBERSHIP, list(any(), 200))),
    ]
}

fn list(items: Value, max_items: u32) -> Value {
    json!({ "type": "array", "items": items, "maxItems": max_items })
}

fn connective(name: &str, value: Value, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": { name: value },
        "required": [name],
        "additionalProperties": false,
    })
}

fn condition(field: Value, operators: &[&str], value: Value) -> Value {
    json!({
        "type": "object",
        "description": "A comparison of a file's field with a value.",
        "properties": { "field": field, "op": { "type": "string", "enum": operators }, "value": value },
        "required": ["field", "op", "value"],
        "additionalProperties": false,
    })
}
