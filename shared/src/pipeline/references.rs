//! What a definition refers to by name: collections, pipelines and connections. They may come and go, so a definition is valid without them,
//! and cannot be enabled.

use std::collections::BTreeSet;

use crate::id::ConnectionId;

use super::{
    Problem,
    compile::Compiled,
    node::{Settings, deduplicate::Deduplicate, source_files::Trigger},
    problem::{ProblemCode, Problems},
};

/// A problem for each reference to a collection, pipeline or connection that is not among these.
#[must_use]
pub fn missing(
    compiled: &Compiled,
    collections: &BTreeSet<String>,
    pipelines: &BTreeSet<String>,
    connections: &BTreeSet<ConnectionId>,
) -> Vec<Problem> {
    let mut problems = Problems::default();
    for step in compiled.plan.segments.iter().flat_map(|segment| &segment.steps) {
        if let Some(connection) = step.settings.connection().filter(|connection| !connections.contains(connection)) {
            let (message, remedy) = (format!("there is no connection {connection}"), "create it, or name another one");
            problems.of(&step.id).add(ProblemCode::UnknownConnection, "connection", message, remedy);
        }
        match &step.settings {
            Settings::SinkCollection(sink) if !collections.contains(&sink.collection) => {
                let message = format!("there is no collection `{}`", sink.collection);
                let remedy = "create it, or name another one";
                problems.of(&step.id).add(ProblemCode::UnknownCollection, "collection", message, remedy);
            }
            Settings::Deduplicate(Deduplicate { collection: Some(collection), .. })
                if !collections.contains(collection) =>
            {
                let message = format!("there is no collection `{collection}`");
                let remedy = "create it, or name another one";
                problems.of(&step.id).add(ProblemCode::UnknownCollection, "collection", message, remedy);
            }
            Settings::SourceFiles(source) => {
                if let Trigger::After(after) = &source.trigger
                    && !pipelines.contains(&after.pipeline)
                {
                    let message = format!("there is no pipeline `{}`", after.pipeline);
                    let remedy = "create it, or name another one";
                    problems.of(&step.id).add(ProblemCode::UnknownPipeline, "trigger", message, remedy);
                }
            }
            _ => {}
        }
    }
    problems.0
}
