//! Reads a definition from JSON, part by part, and keeps the readable ones.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::pipeline::{
    definition::{Definition, Edge, Node, SCHEMA_VERSION, Slot},
    options::NodeOptions,
    problem::{ProblemCode, Problems},
};

const EDGE_REMEDY: &str = "write {\"from\": \"node\" or \"node.port\", \"to\": \"node\"}";

pub(super) fn read(json: &Value, problems: &mut Problems) -> Definition {
    let empty = Map::new();
    let object = json.as_object().unwrap_or_else(|| {
        let remedy = "write an object with schemaVersion, nodes and edges";
        problems.add(ProblemCode::InvalidShape, "", "is not a JSON object", remedy);
        &empty
    });
    for name in object.keys().filter(|name| !["schemaVersion", "nodes", "slots", "edges"].contains(&name.as_str())) {
        problems.add(ProblemCode::UnknownField, name, "is no field of a definition", "remove it");
    }
    match object.get("schemaVersion").map(Value::as_u64) {
        Some(Some(SCHEMA_VERSION)) => {}
        Some(Some(_)) => {
            let message = format!("is not {SCHEMA_VERSION}, the version that this server knows");
            problems.add(ProblemCode::UnknownSchemaVersion, "schemaVersion", message, "write it in that version");
        }
        _ => {
            let message = "is missing or no whole number";
            problems.add(ProblemCode::InvalidShape, "schemaVersion", message, format!("set it to {SCHEMA_VERSION}"));
        }
    }
    let nodes = list(object, "nodes", true, problems);
    let nodes = nodes.iter().enumerate().filter_map(|(index, json)| node(index, json, problems)).collect();
    let slots = list(object, "slots", false, problems);
    let slots: Vec<Slot> = parts(slots, "slots", "write {\"id\": \"name\"}", problems);
    let edges = list(object, "edges", true, problems);
    let edges: Vec<Edge> = parts(edges, "edges", EDGE_REMEDY, problems);
    Definition { schema_version: SCHEMA_VERSION, nodes, slots, edges }
}

fn list<'a>(object: &'a Map<String, Value>, field: &str, required: bool, problems: &mut Problems) -> &'a [Value] {
    match object.get(field) {
        Some(Value::Array(items)) => items,
        None if !required => &[],
        _ => {
            problems.add(ProblemCode::InvalidShape, field, "is missing or no list", "write a list");
            &[]
        }
    }
}

fn parts<T: DeserializeOwned>(items: &[Value], field: &str, remedy: &str, problems: &mut Problems) -> Vec<T> {
    let part = |(index, item): (usize, &Value)| match serde_path_to_error::deserialize(item) {
        Ok(part) => Some(part),
        Err(error) => {
            let field = field_path(&format!("{field}[{index}]"), &error.path().to_string());
            problems.add(ProblemCode::InvalidShape, &field, error.inner().to_string(), remedy);
            None
        }
    };
    items.iter().enumerate().filter_map(part).collect()
}

/// A node, if it has an id and a type; its options are kept as far as they are readable.
fn node(index: usize, json: &Value, problems: &mut Problems) -> Option<Node> {
    let field = format!("nodes[{index}]");
    let Some(object) = json.as_object() else {
        let remedy = "write {\"id\": .., \"type\": .., and the settings of the type}";
        problems.add(ProblemCode::InvalidShape, &field, "is no object", remedy);
        return None;
    };
    let mut settings = object.clone();
    let mut text = |name: &str| match settings.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => {
            let path = format!("{field}.{name}");
            problems.add(ProblemCode::InvalidShape, &path, "is missing or no text", "add it");
            None
        }
    };
    let (id, kind) = (text("id"), text("type"));
    let (id, kind) = (id?, kind?);
    let mut options = Map::new();
    for name in NodeOptions::NAMES {
        let Some(value) = settings.remove(name) else { continue };
        let single = Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
        match serde_path_to_error::deserialize::<_, NodeOptions>(&single) {
            Ok(_) => drop(options.insert(name.to_owned(), value)),
            Err(error) => {
                let path = error.path().to_string();
                let message = error.inner().to_string();
                problems.of(&id).add(ProblemCode::InvalidSetting, &path, message, "correct the option");
            }
        }
    }
    let options = serde_json::from_value(Value::Object(options)).unwrap_or_default();
    Some(Node { id, kind, options, settings })
}

/// A path below a field.
pub(super) fn field_path(field: &str, path: &str) -> String {
    match path {
        "." | "" => field.to_owned(),
        path if field.is_empty() => path.to_owned(),
        path if path.starts_with('[') => format!("{field}{path}"),
        path => format!("{field}.{path}"),
    }
}
