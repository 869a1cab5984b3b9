//! Ids of nodes and slots: well-formed and unique.

use std::collections::HashMap;

use crate::pipeline::{
    definition::Definition,
    id::{MAX_ID_BYTES, is_id},
    problem::{ProblemCode, Problems},
};

/// The object that an id names, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Node(usize),
    Slot(usize),
}

pub(super) type Names<'a> = HashMap<&'a str, Named>;

pub(super) fn index<'a>(definition: &'a Definition, problems: &mut Problems) -> Names<'a> {
    let nodes = definition.nodes.iter().enumerate().map(|(index, node)| (node.id.as_str(), Named::Node(index)));
    let slots = definition.slots.iter().enumerate().map(|(index, slot)| (slot.id.as_str(), Named::Slot(index)));
    let mut names = Names::new();
    for (id, named) in nodes.chain(slots) {
        if !is_id(id) {
            let message = format!("is not a letter followed by letters, digits, _ and -, at most {MAX_ID_BYTES}");
            problems.of(id).add(ProblemCode::InvalidId, "id", message, "rename it");
        }
        if names.contains_key(id) {
            problems.of(id).add(ProblemCode::DuplicateId, "id", "is used twice", "rename one of the two");
        } else {
            names.insert(id, named);
        }
    }
    names
}
