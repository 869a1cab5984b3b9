//! Cuts the ordered graph into segments.
//!
//! A node joins the segment of its inputs if they are all of one segment and no border lies between. Otherwise it begins a
//! segment: at a source, at a border, where outputs of several segments meet, or where it needs the whole item behind units.
//!
//! Items enter at sources, and behind outputs that make items of their elements. A node that takes both, such as the reader of files
//! and of their members, has a step for each, so that a file which is no archive goes through one job as if there were no members.
//! Behind a border one step takes all items.

use std::collections::BTreeSet;

use super::{edges::Link, flows::NodeFlows};
use crate::{
    domain::job::Lane,
    pipeline::{
        definition::Definition,
        node::Settings,
        plan::{Origin, Plan, Port, Segment, Start, Step},
        port::{Border, Output},
    },
};

/// Where items enter: at a source (`None`), or at this segment, behind an output that makes items.
type Entry = Option<usize>;

/// A step of a node.
struct Placed {
    segment: usize,
    step: usize,
    /// Where the items enter that come through it.
    entries: BTreeSet<Entry>,
}

/// The inputs of a step.
#[derive(Default)]
struct Inputs {
    origins: Vec<Origin>,
    /// Where the items enter that come through them.
    entries: BTreeSet<Entry>,
    /// Whether each of their elements is an item, which enters here.
    makes_items: bool,
}

impl Inputs {
    fn append(&mut self, other: Self) {
        self.origins.extend(other.origins);
        self.entries.extend(other.entries);
        self.makes_items |= other.makes_items;
    }
}

pub(super) fn plan(
    definition: &Definition,
    settings: Vec<Settings>,
    links: &[Link],
    order: &[usize],
    flows: &[NodeFlows],
) -> Plan {
    let mut inputs = vec![Vec::new(); settings.len()];
    for link in links {
        inputs[link.to].push((link.from, link.output.unwrap_or_default()));
    }
    let mut segments: Vec<Segment> = Vec::new();
    // The steps of each node.
    let mut placed: Vec<Vec<Placed>> = settings.iter().map(|_| Vec::new()).collect();
    for &node in order {
        let own = &settings[node];
        for of_step in divide(own, &inputs[node], &settings, &placed) {
            let Inputs { origins, mut entries, makes_items } = of_step;
            let in_units = origins.first().is_some_and(|origin| segments[origin.segment].start == Start::Units);
            let segment = match start(own, &origins, makes_items, in_units) {
                Some(start) => {
                    segments.push(Segment { start, lane: own.lane(), steps: Vec::new() });
                    segments.len() - 1
                }
                None => origins[0].segment,
            };
            if makes_items {
                entries.insert(Some(segment));
            }
            placed[node].push(Placed { segment, step: segments[segment].steps.len(), entries });
            let segment = &mut segments[segment];
            // Calls of a model need its slots, whatever the rest of the segment needs.
            if own.lane() == Lane::Model {
                segment.lane = Lane::Model;
            }
            let ports = own.ports();
            let output = |(port, flow): (Output, &Option<_>)| Port { name: port.name, flow: *flow };
            segment.steps.push(Step {
                id: definition.nodes[node].id.clone(),
                options: definition.nodes[node].options.or(&own.default_options()),
                settings: own.clone(),
                input: flows[node].input,
                origins,
                outputs: ports.outputs.into_iter().zip(&flows[node].outputs).map(output).collect(),
            });
        }
    }
    Plan { segments }
}

/// The inputs of each step of a node: those that an item can come through together are of one step.
fn divide(node: &Settings, inputs: &[(usize, usize)], settings: &[Settings], placed: &[Vec<Placed>]) -> Vec<Inputs> {
    let mut steps: Vec<Inputs> = Vec::new();
    let mut of_members = Inputs::default();
    for &(from, output) in inputs {
        let makes_items = settings[from].ports().outputs[output].border == Some(Border::Items);
        for at in &placed[from] {
            let origin = Origin { segment: at.segment, step: at.step, output };
            if makes_items {
                of_members.append(Inputs { origins: vec![origin], entries: BTreeSet::new(), makes_items });
                continue;
            }
            let mut step = Inputs { origins: vec![origin], entries: at.entries.clone(), makes_items };
            let (same, others): (Vec<_>, Vec<_>) =
                steps.into_iter().partition(|other| !other.entries.is_disjoint(&at.entries));
            same.into_iter().for_each(|other| step.append(other));
            steps = others;
            steps.push(step);
        }
    }
    // No two of them share an entry.
    steps.sort_unstable_by_key(|step| step.entries.first().copied());
    if of_members.makes_items {
        steps.push(of_members);
    }
    if inputs.is_empty() {
        steps.push(Inputs { entries: BTreeSet::from([None]), ..Inputs::default() });
    }
    if node.border().is_some() {
        let mut all = Inputs::default();
        steps.into_iter().for_each(|step| all.append(step));
        steps = vec![all];
    }
    steps.iter_mut().for_each(|step| step.origins.sort_unstable());
    steps
}

/// How the segment of a node begins; `None`: the node joins the segment of its inputs.
fn start(node: &Settings, origins: &[Origin], makes_items: bool, in_units: bool) -> Option<Start> {
    let Some(first) = origins.first() else { return Some(Start::Source) };
    if makes_items {
        return Some(Start::Items);
    }
    match node.border() {
        Some(Border::Units) => return Some(Start::Units),
        Some(Border::Durable) => return Some(Start::Durable),
        Some(Border::Items) | None => {}
    }
    let is_join = (in_units && node.needs_whole()) || origins.iter().any(|origin| origin.segment != first.segment);
    is_join.then_some(Start::Join)
}
