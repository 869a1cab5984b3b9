//! Starting and ending runs: the rows, jobs, events and log entries that belong together. The API and workers call it.

mod after;
mod arrival;
mod end;
mod entering;
mod repair;
mod retry;
mod start;

pub use arrival::{Route, enter, start_for_file};
pub use end::{abort, abort_of_pipeline, delete_file, end_finished, ended, ended_without_items, lock_open};
pub use entering::enqueue_entering;
pub use repair::{REPAIRED_AT_ONCE, SOURCE_JOBS, known_jobs, repair_end, repair_fetches, repair_items, repair_source};
pub use retry::{PlansByVersion, requeue, retry_failed};
pub use start::{ItemsOfRun, Selection, StartRun, start, syncs, takes};

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::{
    domain::run::{RunPriority, Units},
    id::{ItemId, RunId},
    job::RunSegment,
    pipeline::plan::Plan,
};

/// The job of an item at a segment.
#[must_use]
pub fn segment_job(
    plan: &Plan,
    (run, priority): (RunId, RunPriority),
    item: ItemId,
    segment: usize,
    units: Option<Units>,
) -> RunSegment {
    RunSegment { run, item, segment, units, lane: Some(plan.segments[segment].lane), priority }
}

/// The code versions of the node types of a plan, by type: a run records them, so that a later one can tell what has changed.
#[must_use]
pub fn code_versions(plan: &Plan) -> Json {
    let steps = plan.segments.iter().flat_map(|segment| &segment.steps);
    let versions: BTreeMap<_, _> = steps.map(|step| (step.settings.kind(), step.settings.code_version())).collect();
    json!(versions)
}
