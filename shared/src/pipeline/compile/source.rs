//! Connections that every graph needs: a source, and both sides of every other node.

use super::edges::Link;
use crate::pipeline::{
    definition::{Definition, Edge},
    node::Settings,
    port::Ports,
    problem::{ProblemCode, Problems},
};

pub(super) fn check(definition: &Definition, settings: &[Option<Settings>], links: &[Link], problems: &mut Problems) {
    let ports: Vec<_> = settings.iter().map(|settings| settings.as_ref().map(Settings::ports)).collect();
    let is_source = |ports: &Option<_>| {
        // A node that cannot be read may be one.
        ports.as_ref().is_none_or(|ports: &Ports| ports.input.is_empty())
    };
    if !ports.iter().any(is_source) {
        let remedy = "add a node such as `source.files`";
        problems.add(ProblemCode::NoSource, "nodes", "there is no source", remedy);
    }
    let (mut has_input, mut has_output) = (vec![false; ports.len()], vec![false; ports.len()]);
    for link in links {
        has_output[link.from] = true;
        has_input[link.to] = true;
    }
    // Ends of edges that could not be resolved have been reported already.
    let named = |node: usize, end: fn(&Edge) -> &str| {
        let id = definition.nodes[node].id.as_str();
        definition.edges.iter().any(|edge| end(edge).split('.').next() == Some(id))
    };
    for (index, node) in definition.nodes.iter().enumerate() {
        let Some(ports) = &ports[index] else { continue };
        if !ports.input.is_empty() && !has_input[index] && !named(index, |edge| &edge.to) {
            let remedy = "connect it with an output, or remove the node";
            problems.of(&node.id).add(ProblemCode::NoInput, "edges", "its input is not connected", remedy);
        }
        if !ports.outputs.is_empty() && !has_output[index] && !named(index, |edge| &edge.from) {
            let remedy = "connect an output with a sink, or remove the node";
            problems.of(&node.id).add(ProblemCode::NoOutput, "edges", "no output is connected", remedy);
        }
    }
}
