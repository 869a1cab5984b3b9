//! The flow of each port, from the sources on.

use std::collections::BTreeSet;

use super::edges::Link;
use crate::pipeline::{
    definition::Definition,
    node::Settings,
    port::Flow,
    problem::{ProblemCode, Problems},
};

/// The flows of a node; `None` where they are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeFlows {
    pub input: Option<Flow>,
    pub outputs: Vec<Option<Flow>>,
}

pub(super) fn check(
    definition: &Definition,
    settings: &[Option<Settings>],
    links: &[Link],
    order: &[usize],
    problems: &mut Problems,
) -> Vec<NodeFlows> {
    let mut flows = vec![NodeFlows::default(); settings.len()];
    let mut inputs = vec![Vec::new(); settings.len()];
    for link in links {
        inputs[link.to].push(*link);
    }
    for &node in order {
        let Some(ports) = settings[node].as_ref().map(Settings::ports) else { continue };
        let name = |link: &Link| {
            let output = settings[link.from].as_ref().zip(link.output).map(|(from, output)| {
                let ports = from.ports();
                if ports.outputs.len() > 1 { format!(".{}", ports.outputs[output].name) } else { String::new() }
            });
            format!("{}{}", definition.nodes[link.from].id, output.unwrap_or_default())
        };
        let mut arriving = BTreeSet::new();
        for link in &inputs[node] {
            let Some(flow) = link.output.and_then(|output| flows[link.from].outputs.get(output).copied().flatten())
            else {
                continue;
            };
            if ports.input.contains(&flow) {
                arriving.insert(flow.name());
                flows[node].input = Some(flow);
                continue;
            }
            let accepted: Vec<_> = ports.input.iter().map(|flow| flow.name()).collect();
            let message = format!("takes {}, but `{}` gives {}", accepted.join(" or "), name(link), flow.name());
            let remedy = "put a node between them that converts, or connect another output";
            problems.of(&definition.nodes[node].id).add(ProblemCode::WrongFlow, "edges", message, remedy);
        }
        if arriving.len() > 1 {
            let message = format!("{} meet in its input", arriving.into_iter().collect::<Vec<_>>().join(" and "));
            let remedy = "use one node for each of them";
            problems.of(&definition.nodes[node].id).add(ProblemCode::MixedFlows, "edges", message, remedy);
            flows[node].input = None;
        }
        let input = flows[node].input;
        flows[node].outputs = ports.outputs.iter().map(|output| output.flow.or(input)).collect();
    }
    flows
}
