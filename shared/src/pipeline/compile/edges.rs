//! Resolves edges to ports, and slots to edges.

use std::collections::HashSet;

use super::{
    ids::{Named, Names},
    limits,
};
use crate::pipeline::{
    definition::{Definition, Edge},
    node::Settings,
    port::{INPUT, Ports},
    problem::{ProblemCode, Problems},
};

/// An output connected with the input of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Link {
    /// The producing node.
    pub from: usize,
    /// The index of its output; `None` if the settings of the node cannot be read.
    pub output: Option<usize>,
    /// The consuming node.
    pub to: usize,
}

/// One end of an edge.
#[derive(Clone, Copy)]
enum End {
    Slot(usize),
    Node(usize, Option<usize>),
}

/// The outputs that write to a slot, each a node and a port, and the nodes that read from it. A node that is unknown has the place
/// `usize::MAX`.
type SlotEnds = (Vec<(usize, Option<usize>)>, Vec<usize>);

pub(super) fn resolve(
    definition: &Definition,
    names: &Names<'_>,
    settings: &[Option<Settings>],
    problems: &mut Problems,
) -> Vec<Link> {
    let ports: Vec<Option<Ports>> = settings.iter().map(|settings| settings.as_ref().map(Settings::ports)).collect();
    let mut resolver = Resolver { definition, names, ports: &ports, problems };
    let mut links = Vec::new();
    let mut slots = vec![SlotEnds::default(); definition.slots.len()];
    let mut seen = HashSet::new();
    for (index, edge) in definition.edges.iter().enumerate() {
        let (from, to) = (resolver.from(index, edge), resolver.to(index, edge));
        match (from, to) {
            (Some(End::Slot(_)), Some(End::Slot(slot))) => {
                let message = format!("`{}` and `{}` are both slots", edge.from, edge.to);
                let remedy = "connect slots with nodes only";
                let id = &definition.slots[slot].id;
                resolver.problems.of(id).add(ProblemCode::SlotToSlot, &format!("edges[{index}]"), message, remedy);
            }
            (Some(End::Node(from, output)), Some(End::Slot(slot))) => slots[slot].0.push((from, output)),
            (Some(End::Slot(slot)), Some(End::Node(to, _))) => slots[slot].1.push(to),
            (Some(End::Node(from, output)), Some(End::Node(to, _))) => links.push(Link { from, output, to }),
            // An end that is unknown is reported; the other end of a slot counts as connected.
            (None, Some(End::Slot(slot))) => slots[slot].0.push((usize::MAX, None)),
            (Some(End::Slot(slot)), None) => slots[slot].1.push(usize::MAX),
            _ => {}
        }
        if !seen.insert(edge) {
            let message = format!("repeats the edge from `{}` to `{}`", edge.from, edge.to);
            let field = format!("edges[{index}]");
            let node = edge.to.split('.').next().unwrap_or_default();
            resolver.problems.of(node).add(ProblemCode::DuplicateEdge, &field, message, "remove one of the two");
        }
    }
    report_one_sided(definition, &slots, problems);
    let resolved = slots.iter().map(|(writers, readers)| writers.len() * readers.len()).sum::<usize>() + links.len();
    limits::check_resolved(resolved, problems);
    for (writers, readers) in slots.iter().filter(|_| resolved <= limits::MAX_EDGES) {
        let pairs = writers.iter().flat_map(|writer| readers.iter().map(move |reader| (writer, reader)));
        let known = pairs.filter(|((from, _), to)| *from != usize::MAX && **to != usize::MAX);
        links.extend(known.map(|(&(from, output), &to)| Link { from, output, to }));
    }
    // A slot beside a direct edge may connect the same ports.
    let mut seen = HashSet::new();
    links.retain(|link| seen.insert(*link));
    links
}

/// Reports the slots that nodes only write to, or only read from.
fn report_one_sided(definition: &Definition, slots: &[SlotEnds], problems: &mut Problems) {
    for (slot, (writers, readers)) in definition.slots.iter().zip(slots) {
        let missing = match (writers.is_empty(), readers.is_empty()) {
            (false, false) => None,
            (true, true) => Some("no node writes to it and none reads from it"),
            (true, false) => Some("no node writes to it"),
            (false, true) => Some("no node reads from it"),
        };
        if let Some(message) = missing {
            let remedy = "connect both sides, or remove the slot";
            problems.of(&slot.id).add(ProblemCode::OneSidedSlot, "edges", message, remedy);
        }
    }
}

struct Resolver<'a, 'p> {
    definition: &'a Definition,
    names: &'a Names<'a>,
    ports: &'a [Option<Ports>],
    problems: &'p mut Problems,
}

impl Resolver<'_, '_> {
    fn from(&mut self, index: usize, edge: &Edge) -> Option<End> {
        let field = format!("edges[{index}].from");
        let (name, port, named) = self.find(&edge.from, &field)?;
        let node = match named {
            Named::Slot(slot) => return self.slot(slot, port, &field),
            Named::Node(node) => node,
        };
        let Some(ports) = &self.ports[node] else { return Some(End::Node(node, None)) };
        let names: Vec<&str> = ports.outputs.iter().map(|output| output.name.as_str()).collect();
        let output = match port {
            Some(port) => names.iter().position(|name| *name == port),
            None if names.len() == 1 => Some(0),
            None => None,
        };
        if output.is_some() {
            return Some(End::Node(node, output));
        }
        let mut problems = self.problems.of(name);
        match (port, names.as_slice()) {
            (_, []) => problems.add(ProblemCode::UnknownPort, &field, "is a sink: it has no output", "remove the edge"),
            (Some(port), names) => {
                let message = format!("has no output `{port}`");
                problems.add(ProblemCode::UnknownPort, &field, message, format!("use one of {}", names.join(", ")));
            }
            (None, names) => {
                let remedy = format!("write `{name}.{}`; outputs are {}", names[0], names.join(", "));
                problems.add(ProblemCode::PortMissing, &field, "has several outputs, and the edge names none", remedy);
            }
        }
        None
    }

    fn to(&mut self, index: usize, edge: &Edge) -> Option<End> {
        let field = format!("edges[{index}].to");
        let (name, port, named) = self.find(&edge.to, &field)?;
        let node = match named {
            Named::Slot(slot) => return self.slot(slot, port, &field),
            Named::Node(node) => node,
        };
        let is_source = self.ports[node].as_ref().is_some_and(|ports| ports.input.is_empty());
        let mut problems = self.problems.of(name);
        match port {
            _ if is_source => {
                problems.add(ProblemCode::UnknownPort, &field, "is a source: it has no input", "remove the edge");
            }
            Some(port) if port != INPUT => {
                let message = format!("has no input `{port}`");
                problems.add(ProblemCode::UnknownPort, &field, message, format!("write `{name}`"));
            }
            _ => return Some(End::Node(node, None)),
        }
        None
    }

    fn find<'e>(&mut self, end: &'e str, field: &str) -> Option<(&'e str, Option<&'e str>, Named)> {
        let (name, port) = end.split_once('.').map_or((end, None), |(name, port)| (name, Some(port)));
        let named = self.names.get(name).copied();
        if named.is_none() {
            let message = format!("no node or slot has the id `{name}`");
            self.problems.of(name).add(ProblemCode::UnknownNode, field, message, "add the node, or correct the edge");
        }
        Some((name, port, named?))
    }

    fn slot(&mut self, slot: usize, port: Option<&str>, field: &str) -> Option<End> {
        let Some(port) = port else { return Some(End::Slot(slot)) };
        let id = &self.definition.slots[slot].id;
        let message = format!("is a slot: it has no port `{port}`");
        self.problems.of(id).add(ProblemCode::UnknownPort, field, message, format!("write `{id}`"));
        None
    }
}
