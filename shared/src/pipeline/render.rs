//! Plans as JSON and Mermaid.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde_json::{Value, json};

use super::{
    plan::{Origin, Plan, Start, Step},
    port::Flow,
};

/// The plan as JSON.
#[must_use]
pub fn to_json(plan: &Plan) -> Value {
    let segments = plan.segments.iter().enumerate().map(|(index, segment)| {
        let inputs = names(plan, plan.inputs(index));
        let exports = names(plan, plan.exports(index));
        let steps: Vec<_> = segment.steps.iter().map(|step| step_json(plan, step)).collect();
        json!({
            "index": index, "start": segment.start, "lane": segment.lane, "inputs": inputs, "exports": exports,
            "steps": steps,
        })
    });
    json!({ "segments": segments.collect::<Vec<_>>() })
}

/// The names of outputs, each once: those of all steps of a node have one name.
fn names(plan: &Plan, origins: impl IntoIterator<Item = Origin>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for origin in origins {
        let name = plan.output_name(origin);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn step_json(plan: &Plan, step: &Step) -> Value {
    let inputs = names(plan, step.origins.iter().copied());
    json!({
        "id": step.id, "type": step.settings.kind(), "codeVersion": step.settings.code_version(),
        "settings": step.settings.to_json(), "options": step.options, "flow": step.input, "inputs": inputs,
        "outputs": step.outputs,
    })
}

/// The plan as a Mermaid flowchart: a box for each segment, an arrow for each edge. Ids consist of letters, digits, `_` and
/// `-`, so they need no escapes; they get a prefix, because some words are Mermaid's own, and another one for further steps of a
/// node.
#[must_use]
pub fn to_mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
    let mut known = BTreeSet::new();
    let steps = plan
        .segments
        .iter()
        .enumerate()
        .flat_map(|(index, segment)| segment.steps.iter().map(move |step| (index, step)));
    let names: BTreeMap<(usize, &str), String> = steps
        .map(|(index, step)| {
            let name = match known.insert(step.id.as_str()) {
                true => format!("n_{}", step.id),
                false => format!("s{index}_{}", step.id),
            };
            ((index, step.id.as_str()), name)
        })
        .collect();
    for (index, segment) in plan.segments.iter().enumerate() {
        let start = match segment.start {
            Start::Source => "source",
            Start::Units => "units",
            Start::Durable => "durable",
            Start::Items => "items",
            Start::Join => "join",
        };
        let _ = writeln!(text, "  subgraph s{index}[\"{index}: {start}, {}\"]", segment.lane.name());
        for step in &segment.steps {
            let name = &names[&(index, step.id.as_str())];
            let _ = writeln!(text, "    {name}[\"{id}<br/>{kind}\"]", id = step.id, kind = step.settings.kind());
        }
        text.push_str("  end\n");
    }
    for (index, segment) in plan.segments.iter().enumerate() {
        for step in &segment.steps {
            for origin in &step.origins {
                let from = &plan.segments[origin.segment].steps[origin.step];
                let port = &from.outputs[origin.output];
                let mut label = port.flow.map_or("", Flow::name).to_owned();
                if from.outputs.len() > 1 {
                    label = format!("{}: {label}", port.name);
                }
                // Thick: the output crosses a border.
                let arrow = if origin.segment == index { "-->" } else { "==>" };
                let (from, to) = (&names[&(origin.segment, from.id.as_str())], &names[&(index, step.id.as_str())]);
                let _ = writeln!(text, "  {from} {arrow}|\"{label}\"| {to}");
            }
        }
    }
    text
}
