//! Plans as JSON and Mermaid.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    plan::{Plan, Start, Step},
    port::Flow,
};

/// The plan as JSON.
#[must_use]
pub fn to_json(plan: &Plan) -> Value {
    let segments = plan.segments.iter().enumerate().map(|(index, segment)| {
        let inputs: Vec<_> = plan.inputs(index).into_iter().map(|origin| plan.output_name(origin)).collect();
        let exports: Vec<_> = plan.exports(index).into_iter().map(|origin| plan.output_name(origin)).collect();
        let steps: Vec<_> = segment.steps.iter().map(|step| step_json(plan, step)).collect();
        json!({
            "index": index, "start": segment.start, "lane": segment.lane, "inputs": inputs, "exports": exports,
            "steps": steps,
        })
    });
    json!({ "segments": segments.collect::<Vec<_>>() })
}

fn step_json(plan: &Plan, step: &Step) -> Value {
    let inputs: Vec<_> = step.origins.iter().map(|origin| plan.output_name(*origin)).collect();
    json!({
        "id": step.id, "type": step.settings.kind(), "codeVersion": step.settings.code_version(),
        "settings": step.settings.to_json(), "options": step.options, "flow": step.input, "inputs": inputs,
        "outputs": step.outputs,
    })
}

/// The plan as a Mermaid flowchart: a box for each segment, an arrow for each edge. Ids consist of letters, digits, `_` and
/// `-`, so they need no escapes; they get a prefix, because some words are Mermaid's own.
#[must_use]
pub fn to_mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
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
            let _ = writeln!(text, "    n_{id}[\"{id}<br/>{kind}\"]", id = step.id, kind = step.settings.kind());
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
                let _ = writeln!(text, "  n_{} {arrow}|\"{label}\"| n_{}", from.id, step.id);
            }
        }
    }
    text
}
