//! The settings of each node, read as its type and validated.

use serde_json::{Map, Value};

use crate::pipeline::{
    definition::{Definition, Node},
    node::{self, NodeType, Settings},
    options::NodeOptions,
    problem::{ProblemCode, Problems},
};

/// The settings of each node; `None` for those that cannot be read.
pub(super) fn read(definition: &Definition, problems: &mut Problems) -> Vec<Option<Settings>> {
    definition.nodes.iter().map(|node| read_node(node, problems)).collect()
}

fn read_node(node: &Node, problems: &mut Problems) -> Option<Settings> {
    node.options.validate(&mut problems.of(&node.id));
    let settings = match Settings::read(&node.kind, node.settings.clone()) {
        Some(Ok(settings)) => settings,
        Some(Err(_)) => {
            explain(node, problems);
            return None;
        }
        None => {
            let message = format!("`{}` is no node type", node.kind);
            let remedy = format!("use one of {}", node::NAMES.join(", "));
            problems.of(&node.id).add(ProblemCode::UnknownType, "type", message, remedy);
            return None;
        }
    };
    settings.validate(&mut problems.of(&node.id));
    Some(settings)
}

/// Adds a problem for each setting that is unknown or cannot be read: decoding stops at the first one, so it is repeated
/// without that setting.
fn explain(node: &Node, problems: &mut Problems) {
    let types = node::node_types();
    let Some(of) = types.iter().find(|of| of.name == node.kind) else { return };
    let mut rest = node.settings.clone();
    rest.retain(|name, _| {
        let known = of.fields().any(|field| field == name);
        if !known {
            problems.of(&node.id).add(ProblemCode::UnknownField, name, "is no setting of this type", remedy(of));
        }
        known
    });
    let mut reported = Vec::new();
    // Each round removes a setting, or is the last.
    while let Some(Err(error)) = Settings::read(&node.kind, rest.clone()) {
        // A part that several types share has no path within the whole.
        let of_part = node::model_call_error(&rest).filter(|_| error.path().to_string() == ".");
        let error = of_part.unwrap_or(error);
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let name = setting(&path, &message, &rest);
        if !reported.contains(&name) {
            let field = if path == "." { name.as_str() } else { path.as_str() };
            problems.of(&node.id).add(ProblemCode::InvalidSetting, field, message, remedy(of));
        }
        let value = rest.remove(&name);
        reported.push(name.clone());
        if value.is_none() {
            // A missing one: the example's value lets decoding go on.
            match of.example.to_json().get(&name) {
                Some(example) if reported.iter().filter(|other| **other == name).count() == 1 => {
                    rest.insert(name, example.clone());
                }
                _ => return,
            }
        }
    }
}

/// The setting at fault: the first part of the path, or the field that the message names.
fn setting(path: &str, message: &str, rest: &Map<String, Value>) -> String {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    if rest.contains_key(first) {
        return first.to_owned();
    }
    message.split('`').nth(1).unwrap_or_default().to_owned()
}

fn remedy(of: &NodeType) -> String {
    let mut fields: Vec<&str> = of.fields().collect();
    fields.extend(NodeOptions::NAMES);
    format!("fields of `{}` are {}", of.name, fields.join(", "))
}
