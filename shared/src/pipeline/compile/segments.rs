//! Cuts the ordered graph into segments.
//!
//! A node joins the segment of its inputs if they are all of one segment and no border lies between. Otherwise it begins a
//! segment: at a source, at a border, where outputs of several segments meet, or where it needs the whole item behind units.

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
    // The segment of each node, and the index of its step in it.
    let mut placed = vec![(0, 0); settings.len()];
    for &node in order {
        let own = &settings[node];
        let mut origins: Vec<Origin> = inputs[node]
            .iter()
            .map(|&(from, output)| Origin { segment: placed[from].0, step: placed[from].1, output })
            .collect();
        origins.sort_unstable();
        let borders = inputs[node].iter().filter_map(|&(from, output)| settings[from].ports().outputs[output].border);
        let in_units = origins.first().is_some_and(|origin| segments[origin.segment].start == Start::Units);
        let start = start(own, &origins, borders, in_units);
        let segment = match start {
            Some(start) => {
                segments.push(Segment { start, lane: own.lane(), steps: Vec::new() });
                segments.len() - 1
            }
            None => origins[0].segment,
        };
        placed[node] = (segment, segments[segment].steps.len());
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
    Plan { segments }
}

/// How the segment of a node begins; `None`: the node joins the segment of its inputs.
fn start(
    node: &Settings,
    origins: &[Origin],
    mut borders: impl Iterator<Item = Border>,
    in_units: bool,
) -> Option<Start> {
    let Some(first) = origins.first() else { return Some(Start::Source) };
    if borders.any(|border| border == Border::Items) {
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
