//! Runs that one file starts: by its upload, or by a change of its name, tags or metadata.

use super::{code_versions, segment_job};
use crate::{
    domain::{filter::Filter, run::RunTrigger},
    id::{FileId, PipelineId, VersionId, WorkspaceId},
    pipeline::{
        self,
        node::{Settings, source_files::Trigger},
        plan::Plan,
    },
    queue::outbox,
    store::{
        self, Result,
        change::Change,
        run::{NewRun, Pipeline},
        run_item::NewItem,
    },
};

/// Which pipelines may process a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Only this one, whatever its triggers and filters.
    pub pipeline: Option<PipelineId>,
    /// Only those that write to this collection, by its name.
    pub collection: Option<String>,
}

/// Starts a run of each pipeline that has a source with this trigger, [`RunTrigger::Upload`] or [`RunTrigger::Change`], and whose
/// filter matches the file. Returns the number of runs.
///
/// # Errors
/// When the database fails.
pub async fn start_for_file(
    change: &mut Change,
    workspace: WorkspaceId,
    pipelines: &[Pipeline],
    (file, version): (FileId, VersionId),
    trigger: RunTrigger,
    route: &Route,
) -> Result<usize> {
    let mut runs = 0;
    for pipeline in pipelines.iter().filter(|pipeline| route.pipeline.is_none_or(|only| only == pipeline.id)) {
        // Every definition of an enabled pipeline has compiled.
        let Ok(compiled) = pipeline::compile(&pipeline.definition) else { continue };
        if route.collection.as_ref().is_some_and(|collection| !writes_to(&compiled.plan, collection)) {
            continue;
        }
        for (entry, filter) in entries(&compiled.plan, trigger, route) {
            if !store::selection::matches(change.tx(), workspace, version, filter.as_slice()).await? {
                continue;
            }
            let started_by = change.actor().account();
            let new = NewRun {
                started_by,
                code_versions: Some(code_versions(&compiled.plan)),
                ..NewRun::new(pipeline.id, pipeline.version, trigger)
            };
            let run = store::run::insert(change, workspace, new).await?;
            let stage = compiled.plan.stage(entry).to_owned();
            let items = vec![NewItem { file, version, entry, parent: None, stage }];
            for item in store::run_item::insert(change, workspace, run, items).await? {
                let job = segment_job(&compiled.plan, (run, false), item, entry, None);
                outbox::enqueue(change, workspace, &job).await?;
            }
            runs += 1;
        }
    }
    Ok(runs)
}

/// Whether a sink of the plan writes to the collection.
fn writes_to(plan: &Plan, collection: &str) -> bool {
    let steps = plan.segments.iter().flat_map(|segment| &segment.steps);
    steps.into_iter().any(|step| match &step.settings {
        Settings::SinkCollection(sink) => sink.collection == collection,
        _ => false,
    })
}

/// The segments where the file enters, with the filters of their sources.
fn entries(plan: &Plan, trigger: RunTrigger, route: &Route) -> Vec<(usize, Option<Filter>)> {
    let sources = plan.segments.iter().enumerate().filter_map(|(index, segment)| match &segment.steps[0].settings {
        Settings::SourceFiles(_) if route.pipeline.is_some() => Some((index, None)),
        Settings::SourceFiles(source) if starts(&source.trigger, trigger) => {
            Some((index, source.filter.as_ref().and_then(|filter| filter.parse().ok())))
        }
        _ => None,
    });
    sources.collect()
}

const fn starts(of_source: &Trigger, trigger: RunTrigger) -> bool {
    matches!((of_source, trigger), (Trigger::Upload, RunTrigger::Upload) | (Trigger::Change, RunTrigger::Change))
}
