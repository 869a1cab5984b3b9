//! The plans that the engine of this version runs: one chain from uploads to the collection `default`.
//!
//! Other definitions are valid and can be stored as drafts; this module and its callers go away with the engine that runs
//! every plan.

use super::{
    compile::Compiled,
    definition::Node,
    node::{Settings, partition, sink_collection, source_files::Trigger},
    options::NodeOptions,
    problem::{ProblemCode, Problems},
};

/// The node types of the chain.
const CHAIN: [&str; 5] = ["source.files", "partition", "chunk.section", "embed", "sink.collection"];

/// The reasons why the engine cannot run it; empty if it can.
#[must_use]
pub fn problems(compiled: &Compiled) -> Problems {
    let mut problems = Problems::default();
    let steps: Vec<_> = compiled.plan.segments.iter().flat_map(|segment| &segment.steps).collect();
    let kinds: Vec<_> = steps.iter().map(|step| step.settings.kind()).collect();
    if kinds != CHAIN {
        let message = format!("this version runs only one chain, {}", CHAIN.join(" -> "));
        problems.add(ProblemCode::NotRunnable, "nodes", message, "keep it as a draft");
    }
    for step in &steps {
        for (field, set) in unsupported(&step.settings) {
            if set {
                problems.of(&step.id).add(ProblemCode::NotRunnable, field, "has no effect yet", "leave it out");
            }
        }
    }
    for node in compiled.definition.nodes.iter().filter(|node| node.options != NodeOptions::default()) {
        problems.of(&node.id).add(ProblemCode::NotRunnable, option(node), "has no effect yet", "leave it out");
    }
    problems
}

/// The settings that the engine does not follow, and whether they are set.
fn unsupported(settings: &Settings) -> Vec<(&'static str, bool)> {
    match settings {
        Settings::SourceFiles(source) => {
            vec![("trigger", source.trigger != Trigger::Upload), ("filter", source.filter.is_some())]
        }
        Settings::Partition(settings) => vec![
            ("mode", settings.mode != partition::PartitionMode::default()),
            ("ocr", settings.ocr != partition::Ocr::default()),
        ],
        Settings::ChunkSection(settings) => {
            vec![("minTokens", settings.min_tokens.is_some()), ("contextualPrefix", settings.contextual_prefix)]
        }
        Settings::SinkCollection(sink) => vec![("collection", sink.collection != sink_collection::DEFAULT_COLLECTION)],
        _ => Vec::new(),
    }
}

/// The name of the first option that is set.
fn option(node: &Node) -> &'static str {
    let json = serde_json::to_value(&node.options).unwrap_or_default();
    NodeOptions::NAMES.into_iter().find(|name| json.get(name).is_some()).unwrap_or_default()
}
