//! The reference of node types and variables in Markdown: `docs/NODES.md`, and two tables of `docs/PIPELINES.md`.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    expression::{Kind, VARIABLES},
    node::{Group, NodeType, node_types},
    port::{Flow, Output},
};

const INTRODUCTION: &str = "# Node types

Every node type with its settings and an example, which a test runs. `GET /api/v1/node-types` returns the same with JSON Schemas.
[PIPELINES](PIPELINES.md) describes definitions, the options that all nodes have, and how nodes behave.
";

/// The page with all node types: `docs/NODES.md`.
#[must_use]
pub fn node_reference() -> String {
    let types = node_types();
    let links: Vec<_> = types.iter().map(|of| format!("[`{}`]({})", of.name, anchor(of))).collect();
    let mut page = format!("{INTRODUCTION}\n{}\n", links.join(" ·\n"));
    for of in &types {
        section(&mut page, of);
    }
    page
}

/// The table of node types, as in `docs/PIPELINES.md`.
#[must_use]
pub fn node_types_table() -> String {
    let mut table = String::from("| type | does | takes | gives |\n|---|---|---|---|\n");
    for of in node_types() {
        let (takes, gives) = flows(&of);
        let _ =
            writeln!(table, "| [`{}`](NODES.md{}) | {} | {takes} | {gives} |", of.name, anchor(&of), of.description);
    }
    table
}

/// The table of the variables of expressions, as in `docs/PIPELINES.md`.
#[must_use]
pub fn variables_table() -> String {
    let mut table = String::from("| variable | is | fields |\n|---|---|---|\n");
    for variable in VARIABLES {
        let fields = match variable.kind {
            Kind::Fields(fields) => fields
                .iter()
                .map(|field| format!("`{}`: {}", field.name, field.description))
                .collect::<Vec<_>>()
                .join("; "),
            _ => "any".to_owned(),
        };
        let _ = writeln!(table, "| `{}` | {} | {fields} |", variable.name, variable.description);
    }
    table
}

/// The link to the section of a type. Renderers of Markdown drop dots.
fn anchor(of: &NodeType) -> String {
    format!("#{}", of.name.replace('.', ""))
}

/// The flows of input and outputs.
fn flows(of: &NodeType) -> (String, String) {
    let ports = of.example.ports();
    let takes: Vec<_> = ports.input.iter().map(|flow| flow.name()).collect();
    let output = |output: &Output| {
        let flow = output.flow.map_or("the same", Flow::name);
        if ports.outputs.len() == 1 { flow.to_owned() } else { format!("`{}`: {flow}", output.name) }
    };
    let gives = match of.fields().any(|field| field == "branches") {
        true => "a port for each branch, `else`: the same".to_owned(),
        false => ports.outputs.iter().map(output).collect::<Vec<_>>().join(", "),
    };
    let or_none = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
    (or_none(takes.join(", ")), or_none(gives))
}

fn section(page: &mut String, of: &NodeType) {
    let (takes, gives) = flows(of);
    let _ = write!(page, "\n## {}\n\n{}\n\nTakes: {takes}. Gives: {gives}.", of.name, of.description);
    if let Some(document) = described_in(of) {
        let _ = write!(page, " More in {document}.");
    }
    page.push_str("\n\n");
    let schema = of.schema.as_value();
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
        page.push_str("| setting | value | default | meaning |\n|---|---|---|---|\n");
        for (name, property) in properties {
            let required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
            let _ = writeln!(page, "| `{name}` | {} |", cells(property, required).join(" | "));
        }
        page.push('\n');
    }
    let _ = write!(page, "```json\n{{ \"id\": \"step\", \"type\": \"{}\"", of.name);
    for (name, value) in of.example.to_json().as_object().into_iter().flatten() {
        let _ = write!(page, ",\n  \"{name}\": {value}");
    }
    page.push_str(" }\n```\n");
}

/// The document that describes a type at length, beside `docs/PIPELINES.md`.
const fn described_in(of: &NodeType) -> Option<&'static str> {
    match of.group {
        Group::Model => Some("[MODEL_NODES](MODEL_NODES.md)"),
        Group::Own => Some("[SERVICES](SERVICES.md)"),
        _ => None,
    }
}

/// Value, default and meaning of a setting.
fn cells(property: &Value, required: bool) -> [String; 3] {
    let default = match &property["default"] {
        _ if required => "required".to_owned(),
        Value::Null => "-".to_owned(),
        default => format!("`{default}`"),
    };
    let mut meaning = property["description"].as_str().unwrap_or_default().replace('\n', " ");
    for choice in choices(property) {
        if let (Some(value), Some(description)) = (choice.get("const"), choice["description"].as_str()) {
            let _ = write!(meaning, " `{value}`: {}", description.replace('\n', " "));
        }
    }
    [value(property), default, meaning].map(|cell| cell.replace('|', "\\|"))
}

/// The alternatives of a value, but null.
fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = [&schema["oneOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array);
    lists.flatten().filter(|choice| choice["type"] != "null")
}

/// The kind of a value, with its limits.
fn value(schema: &Value) -> String {
    let constants: Vec<_> = match &schema["enum"] {
        Value::Array(values) => {
            values.iter().filter(|value| !value.is_null()).map(|value| format!("`{value}`")).collect()
        }
        _ => choices(schema).filter_map(|choice| choice.get("const")).map(|value| format!("`{value}`")).collect(),
    };
    if !constants.is_empty() {
        return constants.join(", ");
    }
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    if kinds.is_empty() {
        let alternatives: Vec<_> = choices(schema).map(value).collect();
        return if alternatives.is_empty() { "any".to_owned() } else { alternatives.join(" or ") };
    }
    let kind = match kinds.as_slice() {
        ["array"] if schema["items"].is_object() => format!("list of {}", value(&schema["items"])),
        kinds => kinds.join(" or "),
    };
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(min), Value::Number(max)) => format!("{kind}, {min} to {max}"),
        (Value::Number(min), _) => format!("{kind}, at least {min}"),
        (_, Value::Number(max)) => format!("{kind}, at most {max}"),
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    fn document(name: &str) -> String {
        fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default()
    }

    #[test]
    fn page_of_node_types_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/NODES.md");
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(path, node_reference()).unwrap();
        }
        assert!(document("NODES.md") == node_reference(), "UPDATE_SNAPSHOTS=1 writes docs/NODES.md anew");
    }

    #[test]
    fn documentation_contains_the_tables() {
        let document = document("PIPELINES.md");
        for table in [node_types_table(), variables_table()] {
            assert!(document.contains(&table), "docs/PIPELINES.md must contain this table:\n{table}");
        }
    }
}
