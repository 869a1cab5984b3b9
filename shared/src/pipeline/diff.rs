//! The difference of two definitions, by node and field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::definition::{Definition, Edge, Node};

/// The difference of two definitions; the order of nodes, slots and edges makes none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The ids of nodes that only the second has.
    pub nodes_added: Vec<String>,
    /// The ids of nodes that only the first has.
    pub nodes_removed: Vec<String>,
    /// Nodes that both have, with different fields.
    pub nodes_changed: Vec<NodeChange>,
    /// Slots that only the second has.
    pub slots_added: Vec<String>,
    /// Slots that only the first has.
    pub slots_removed: Vec<String>,
    /// Edges that only the second has.
    pub edges_added: Vec<Edge>,
    /// Edges that only the first has.
    pub edges_removed: Vec<Edge>,
}

/// A node with different fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeChange {
    /// The id.
    pub id: String,
    /// The different fields.
    pub fields: Vec<FieldChange>,
}

/// A field with different values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The name.
    pub field: String,
    /// The value in the first; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The value in the second; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

impl Diff {
    /// Whether the definitions are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The difference from one definition to another.
#[must_use]
pub fn diff(from: &Definition, to: &Definition) -> Diff {
    let (old, new) = (nodes(from), nodes(to));
    let slots = |definition: &Definition| definition.slots.iter().map(|slot| slot.id.clone()).collect::<BTreeSet<_>>();
    let (old_slots, new_slots) = (slots(from), slots(to));
    let edges = |definition: &Definition| definition.edges.iter().cloned().collect::<BTreeSet<_>>();
    let (old_edges, new_edges) = (edges(from), edges(to));
    let changed = new.iter().filter_map(|(id, node)| {
        let fields = fields(old.get(id)?, node);
        (!fields.is_empty()).then(|| NodeChange { id: (*id).to_owned(), fields })
    });
    Diff {
        nodes_added: new.keys().filter(|id| !old.contains_key(*id)).map(|id| (*id).to_owned()).collect(),
        nodes_removed: old.keys().filter(|id| !new.contains_key(*id)).map(|id| (*id).to_owned()).collect(),
        nodes_changed: changed.collect(),
        slots_added: new_slots.difference(&old_slots).cloned().collect(),
        slots_removed: old_slots.difference(&new_slots).cloned().collect(),
        edges_added: new_edges.difference(&old_edges).cloned().collect(),
        edges_removed: old_edges.difference(&new_edges).cloned().collect(),
    }
}

fn nodes(definition: &Definition) -> BTreeMap<&str, Map<String, Value>> {
    definition.nodes.iter().map(|node| (node.id.as_str(), object(node))).collect()
}

fn object(node: &Node) -> Map<String, Value> {
    match serde_json::to_value(node) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn fields(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let change =
        |name: &String| FieldChange { field: name.clone(), from: from.get(name).cloned(), to: to.get(name).cloned() };
    names.into_iter().filter(|name| from.get(*name) != to.get(*name)).map(change).collect()
}
