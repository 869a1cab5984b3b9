//! What a definition refers to by name: collections, pipelines and connections. They may come and go, so a definition is valid without them,
//! and cannot be enabled.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::connection::{Capability, provider},
    id::ConnectionId,
};

use super::{
    Problem,
    compile::Compiled,
    node::{Settings, deduplicate::Deduplicate, source_files::Trigger},
    problem::{NodeProblems, ProblemCode, Problems},
};

/// A problem for each reference to a collection, pipeline or connection that is not among these, and for each connection whose provider
/// cannot do what its node needs. `connections` have their providers.
#[must_use]
pub fn missing(
    compiled: &Compiled,
    collections: &BTreeSet<String>,
    pipelines: &BTreeSet<String>,
    connections: &BTreeMap<ConnectionId, String>,
) -> Vec<Problem> {
    let mut problems = Problems::default();
    for step in compiled.plan.nodes() {
        if let Some(connection) = step.settings.connection() {
            match connections.get(&connection) {
                Some(provider) => check_provider(provider, &step.settings, &mut problems.of(&step.id)),
                None => {
                    let message = format!("there is no connection {connection}");
                    let remedy = "create it, or name another one";
                    problems.of(&step.id).add(ProblemCode::UnknownConnection, "connection", message, remedy);
                }
            }
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

/// Adds a problem if connections of a provider cannot do what a node needs.
fn check_provider(name: &str, settings: &Settings, problems: &mut NodeProblems<'_>) {
    let (needed, what) = match settings {
        Settings::SourceConnection(_) => (Capability::Read, "documents cannot be read from"),
        Settings::SinkConnection(_) => (Capability::Write, "results cannot be written to"),
        _ => (Capability::Chat, "questions cannot be put to"),
    };
    if provider(name).is_none_or(|provider| !provider.can(needed)) {
        let message = format!("the connection is one of `{name}`, which {what}");
        let remedy = format!("name one whose provider has the capability `{}`", needed.name());
        problems.add(ProblemCode::WrongProvider, "connection", message, remedy);
    }
}

/// The names of the pipelines after whose runs this one starts.
pub fn followed(compiled: &Compiled) -> impl Iterator<Item = &str> {
    follows(compiled).map(|(_, pipeline)| pipeline)
}

/// The sources that start after another pipeline, and its name.
fn follows(compiled: &Compiled) -> impl Iterator<Item = (&str, &str)> {
    compiled.plan.nodes().filter_map(|step| match &step.settings {
        Settings::SourceFiles(source) => match &source.trigger {
            Trigger::After(after) => Some((step.id.as_str(), after.pipeline.as_str())),
            _ => None,
        },
        _ => None,
    })
}

/// A problem for each source of the pipeline `name` that starts after a pipeline which starts after `name`, directly or through
/// others: their runs would start each other without end. `others` has the names that each other enabled pipeline follows.
#[must_use]
pub fn trigger_cycles(name: &str, compiled: &Compiled, others: &BTreeMap<String, Vec<String>>) -> Vec<Problem> {
    let mut problems = Problems::default();
    for (node, first) in follows(compiled) {
        let (mut seen, mut next) = (BTreeSet::new(), vec![first]);
        while let Some(pipeline) = next.pop() {
            if pipeline == name {
                let message = format!("the pipeline `{first}` starts after this one, so their runs would never end");
                let remedy = "start one of them by another trigger";
                problems.of(node).add(ProblemCode::Cycle, "trigger", message, remedy);
                break;
            }
            if seen.insert(pipeline) {
                next.extend(others.get(pipeline).into_iter().flatten().map(String::as_str));
            }
        }
    }
    problems.0
}
