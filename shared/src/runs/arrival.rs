//! Runs that one file starts: by its upload, or by a change of its name, tags or metadata.

use serde_json::Value as Json;

use super::{code_versions, segment_job};
use crate::{
    domain::{
        filter::Filter,
        run::{RunPriority, RunTrigger},
    },
    id::{FileId, PipelineId, VersionId, WorkspaceId},
    job::EnterItem,
    pipeline::{
        self,
        file_filter::FileFilter,
        node::{Settings, source_files::Trigger},
        plan::Plan,
        uncompiled,
    },
    queue::outbox,
    store::{
        self, Result,
        change::Change,
        run::{NewRun, Pipeline},
        run_item::{Item, NewItem},
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

/// A version of a file, and the reason why it enters pipelines.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    file: FileId,
    version: VersionId,
    trigger: RunTrigger,
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
    let arrived = Arrived { file, version, trigger };
    let mut runs = 0;
    for pipeline in pipelines.iter().filter(|pipeline| route.pipeline.is_none_or(|only| only == pipeline.id)) {
        match pipeline::compile(&pipeline.definition) {
            Ok(compiled) => {
                for entry in entries(change, workspace, &compiled.plan, arrived, route).await? {
                    let of = (pipeline.id, pipeline.version);
                    start_at(change, workspace, of, &compiled.plan, entry, arrived).await?;
                    runs += 1;
                }
            }
            // A newer version has stored it: without a run, the file would be ready before that pipeline has processed it.
            Err(_) if may_take(&pipeline.definition, trigger, route) => {
                start_uncompiled(change, workspace, pipeline, arrived, route).await?;
                runs += 1;
            }
            Err(_) => {}
        }
    }
    Ok(runs)
}

/// Lets an item enter that [`start_for_file`] has added for a definition that it could not compile. `false`: no source takes the file.
///
/// # Errors
/// When the database fails.
pub async fn enter(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    plan: &Plan,
    route: &Route,
) -> Result<bool> {
    let arrived = Arrived { file: item.file_id, version: item.version_id, trigger: item.trigger };
    let mut entries = entries(change, workspace, plan, arrived, route).await?.into_iter();
    let Some(first) = entries.next() else { return Ok(false) };
    store::run_item::set_entry(change, workspace, item.id, first, plan.stage(first)).await?;
    store::run::set_code_versions(change, workspace, item.run_id, code_versions(plan)).await?;
    let job = segment_job(plan, (item.run_id, item.priority()), item.id, first, None);
    outbox::enqueue(change, workspace, &job).await?;
    for entry in entries {
        let of = (item.pipeline_id, item.pipeline_version);
        start_at(change, workspace, of, plan, entry, arrived).await?;
    }
    Ok(true)
}

/// Starts the run of a file that enters at a segment.
async fn start_at(
    change: &mut Change,
    workspace: WorkspaceId,
    (pipeline, version): (PipelineId, i32),
    plan: &Plan,
    entry: usize,
    arrived: Arrived,
) -> Result<()> {
    let new = NewRun {
        started_by: change.actor().account(),
        code_versions: Some(code_versions(plan)),
        ..NewRun::new(pipeline, version, arrived.trigger)
    };
    let priority = RunPriority::of(arrived.trigger, false);
    let run = store::run::insert(change, workspace, new).await?;
    let stage = plan.stage(entry).to_owned();
    let items = vec![NewItem { file: arrived.file, version: arrived.version, entry, parent: None, stage }];
    for item in store::run_item::insert(change, workspace, run, items).await? {
        outbox::enqueue(change, workspace, &segment_job(plan, (run, priority), item, entry, None)).await?;
    }
    Ok(())
}

/// Starts a run whose item waits for a worker that can compile the definition: [`enter`] then finds its segment.
async fn start_uncompiled(
    change: &mut Change,
    workspace: WorkspaceId,
    pipeline: &Pipeline,
    arrived: Arrived,
    route: &Route,
) -> Result<()> {
    let started_by = change.actor().account();
    let new = NewRun { started_by, ..NewRun::new(pipeline.id, pipeline.version, arrived.trigger) };
    let run = store::run::insert(change, workspace, new).await?;
    let stage = uncompiled::first_node(&pipeline.definition).to_owned();
    let items = vec![NewItem { file: arrived.file, version: arrived.version, entry: 0, parent: None, stage }];
    for item in store::run_item::insert(change, workspace, run, items).await? {
        let Route { pipeline, collection } = route.clone();
        outbox::enqueue(change, workspace, &EnterItem { run, item, pipeline, collection }).await?;
    }
    Ok(())
}

/// Whether a definition that this version cannot compile may have a source that takes the file.
fn may_take(definition: &Json, trigger: RunTrigger, route: &Route) -> bool {
    let trigger = route.pipeline.is_none().then(|| trigger.name());
    uncompiled::takes_files(definition, trigger)
        && route.collection.as_ref().is_none_or(|collection| uncompiled::writes_to(definition, collection))
}

/// The segments of a plan where the file enters.
async fn entries(
    change: &Change,
    workspace: WorkspaceId,
    plan: &Plan,
    arrived: Arrived,
    route: &Route,
) -> Result<Vec<usize>> {
    if route.collection.as_ref().is_some_and(|collection| !writes_to(plan, collection)) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for (entry, filter) in sources(plan, arrived.trigger, route) {
        if store::selection::matches(change.tx(), workspace, arrived.version, filter.as_slice()).await? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Whether a sink of the plan writes to the collection.
fn writes_to(plan: &Plan, collection: &str) -> bool {
    let steps = plan.segments.iter().flat_map(|segment| &segment.steps);
    steps.into_iter().any(|step| match &step.settings {
        Settings::SinkCollection(sink) => sink.collection == collection,
        _ => false,
    })
}

/// The segments of the sources that this trigger starts, with their filters.
fn sources(plan: &Plan, trigger: RunTrigger, route: &Route) -> Vec<(usize, Option<Filter>)> {
    let sources = plan.segments.iter().enumerate().filter_map(|(index, segment)| match &segment.steps[0].settings {
        Settings::SourceFiles(_) if route.pipeline.is_some() => Some((index, None)),
        Settings::SourceFiles(source) if starts(&source.trigger, trigger) => {
            match source.filter.as_ref().map(FileFilter::parse).transpose() {
                Ok(filter) => Some((index, filter)),
                // The compiler has read it, too. Without its condition, the source would take all files.
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a source takes no file, because its filter cannot be read"
                    );
                    None
                }
            }
        }
        _ => None,
    });
    sources.collect()
}

const fn starts(of_source: &Trigger, trigger: RunTrigger) -> bool {
    matches!((of_source, trigger), (Trigger::Upload, RunTrigger::Upload) | (Trigger::Change, RunTrigger::Change))
}
