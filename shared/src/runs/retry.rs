//! Opening runs again for what failed in them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    domain::{
        event::EventType,
        file::FileState,
        run::{ItemState, LogKind},
    },
    entity::run,
    id::{BatchId, ItemId, PipelineId, RunId, WorkspaceId},
    job::{AdmitItems, FetchObjects, RunSegment},
    pipeline::{self, plan::Plan},
    queue::outbox,
    store::{self, Error, Result, change::Change, item_log::NewEntry, run_item::Item},
};

/// The plans of pipelines, by their ids and versions. One may be missing that only a newer version can compile.
pub type PlansByVersion<'a> = BTreeMap<(PipelineId, i32), &'a Plan>;

/// The states of items that are retried.
const FAILED: [ItemState; 1] = [ItemState::Failed];
/// Those of a run that is retried as a whole.
const FAILED_OR_CANCELLED: [ItemState; 2] = [ItemState::Failed, ItemState::Cancelled];

/// Puts the items among these that are failed back into the queue. Returns their number.
///
/// # Errors
/// When the database fails.
pub async fn requeue(
    change: &mut Change,
    workspace: WorkspaceId,
    items: Vec<ItemId>,
    plans: &PlansByVersion<'_>,
) -> Result<usize> {
    requeue_in(change, workspace, items, &FAILED, plans).await
}

/// As [`requeue`], of items in these states.
async fn requeue_in(
    change: &mut Change,
    workspace: WorkspaceId,
    items: Vec<ItemId>,
    states: &[ItemState],
    plans: &PlansByVersion<'_>,
) -> Result<usize> {
    store::failed_items::delete_jobs(change, workspace, items.clone()).await?;
    let locked = store::locks::lock_items(change, workspace, items).await?;
    let items: Vec<Item> = locked.into_iter().filter(|item| states.contains(&item.state)).collect();
    let ids: Vec<ItemId> = items.iter().map(|item| item.id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    let failed = items.iter().filter(|item| item.state == ItemState::Failed).map(|item| item.id).collect();
    store::failed_items::requeue(change, workspace, ids.clone()).await?;
    let retried = NewEntry::new(LogKind::Retried, None, "put back into the queue");
    for item in &items {
        store::item_log::append(change, workspace, item.id, &retried).await?;
    }
    let jobs: Vec<RunSegment> = items.iter().map(|item| first_job(item, plans)).collect();
    outbox::enqueue_all(change, workspace, &jobs).await?;
    let decide_files = items.iter().filter(|item| item.decides_file());
    let versions = decide_files.clone().map(|item| item.version_id).collect();
    store::file::set_states(change, workspace, versions, FileState::Queued).await?;
    for item in decide_files {
        change.emit(EventType::FileQueued, item.file_id, json!({ "versionId": item.version_id }));
    }
    // Last, because the usage of the workspace is locked from here on.
    store::failed_items::reopen_runs(change, workspace, ids, failed).await?;
    Ok(items.len())
}

/// The job of an item that begins again.
fn first_job(item: &Item, plans: &PlansByVersion<'_>) -> RunSegment {
    let plan = plans.get(&(item.pipeline_id, item.pipeline_version));
    let lane = plan.and_then(|plan| plan.segments.get(item.entry)).map(|segment| segment.lane);
    let Item { id, run_id: run, entry: segment, .. } = *item;
    RunSegment { run, item: id, segment, units: None, lane, priority: item.priority() }
}

/// Puts failed items of a run back into the queue: those with a code, or one item, if given. A run that is retried as a whole goes on
/// where it was cancelled or failed: cancelled items begin again, and the files enter that had not; a sync lists no further objects.
/// Returns the number of items and objects.
///
/// # Errors
/// When the database fails; [`Error::RecordNotFound`] if there is no such run.
pub async fn retry_failed(
    change: &mut Change,
    workspace: WorkspaceId,
    run: RunId,
    code: Option<&str>,
    item: Option<ItemId>,
) -> Result<usize> {
    let not_found = || Error::RecordNotFound("the run".to_owned());
    let row = store::run::find(change.tx(), workspace, run).await?.ok_or_else(not_found)?;
    let definition = store::run::definition(change.tx(), workspace, row.pipeline_id, row.pipeline_version).await?;
    let definition = definition.ok_or_else(not_found)?;
    let compiled = pipeline::compile(&definition).ok();
    let of = (row.pipeline_id, row.pipeline_version);
    let plans: PlansByVersion<'_> = compiled.iter().map(|compiled| (of, &compiled.plan)).collect();
    let is_whole = code.is_none() && item.is_none();
    let states = if is_whole { FAILED_OR_CANCELLED.as_slice() } else { FAILED.as_slice() };
    let found = store::failed_items::of_run(change.tx(), workspace, run, states, code, item).await?;
    let items = requeue_in(change, workspace, found, states, &plans).await?;
    if is_whole && store::run::admit_again(change, workspace, run).await? {
        outbox::enqueue(change, workspace, &AdmitItems { run }).await?;
    }
    let objects = if item.is_none() && row.syncs { retry_objects(change, workspace, &row, code).await? } else { 0 };
    Ok(items + objects)
}

/// Objects of one job.
const BATCH_OBJECTS: i64 = 64;

/// Reads objects of a sync again that could not be read. Returns their number.
async fn retry_objects(
    change: &mut Change,
    workspace: WorkspaceId,
    run: &run::Model,
    code: Option<&str>,
) -> Result<usize> {
    let mut objects = 0;
    loop {
        let (batch, of) = (BatchId::new(), (run.pipeline_id, run.id));
        let requeued = store::source_fetch::requeue(change, workspace, of, code, batch, BATCH_OBJECTS).await?;
        let Some((node, _)) = requeued.first().cloned() else { break };
        objects += requeued.len();
        outbox::enqueue(change, workspace, &FetchObjects { run: run.id, node, batch }).await?;
    }
    if objects > 0 {
        let count = i32::try_from(objects).unwrap_or(i32::MAX);
        store::sync_run::reopen(change, workspace, run.id, count).await?;
    }
    Ok(objects)
}
