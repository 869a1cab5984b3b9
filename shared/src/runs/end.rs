//! Ending runs, and opening them again.

use serde_json::json;

use super::segment_job;
use crate::{
    domain::{
        event::EventType,
        failure::Failure,
        file::FileState,
        run::{LogKind, RunState, RunTrigger},
    },
    entity::run,
    id::{BatchId, ItemId, JobId, PipelineId, RunId, WorkspaceId},
    job::FetchObjects,
    pipeline,
    queue::outbox,
    store::{self, Error, Result, change::Change, item_log::NewEntry, run_item::Item},
};

/// Records that the run of an item has ended. A run of one upload says so by the events of its file alone.
///
/// # Errors
/// When the database fails.
pub async fn ended(change: &mut Change, workspace: WorkspaceId, item: &Item, state: RunState) -> Result<()> {
    let upload = item.trigger == RunTrigger::Upload;
    if !upload {
        change.emit(EventType::RunEnded, item.run_id, json!({ "pipelineId": item.pipeline_id, "state": state }));
    }
    if item.preview {
        return Ok(());
    }
    let files = upload.then(|| vec![item.file_id]);
    super::after::start_followers(change, workspace, item.pipeline_id, state, files).await
}

/// Records the end of a run that no file has entered.
pub fn ended_without_items(change: &mut Change, run: RunId, pipeline: PipelineId, state: RunState) {
    change.emit(EventType::RunEnded, run, json!({ "pipelineId": pipeline, "state": state }));
}

/// Ends a run before its items, those in progress too, except the job that decides it. `false`: the run had ended already.
///
/// # Errors
/// When the database fails.
pub async fn abort(
    change: &mut Change,
    workspace: WorkspaceId,
    run: RunId,
    state: RunState,
    failure: Option<&Failure>,
    except: Option<JobId>,
) -> Result<bool> {
    // Jobs before items: workers lock in this order.
    store::job::delete_of_run(change, run, except).await?;
    let Some(items) = store::run::abort(change, workspace, run, state, failure).await? else { return Ok(false) };
    // Otherwise the next run would begin at once, and end as this one.
    store::source_notification::forget_of_run(change, workspace, run).await?;
    for item in items {
        store::target::discard(change, workspace, item).await?;
        let Some(item) = store::run_item::find(change.tx(), workspace, item).await? else { continue };
        if !item.decides_file() {
            continue;
        }
        if let Some(outcome) = store::processing::arrival_outcome(change, workspace, item.version_id).await? {
            match outcome.failure {
                Some(failure) => {
                    let state = FileState::Failed;
                    store::file::set_state(change, workspace, item.version_id, state, Some(&failure)).await?;
                    let data = json!({ "code": failure.code, "detail": failure.detail });
                    change.emit(EventType::FileFailed, item.file_id, data);
                }
                None => {
                    let (file, version) = (item.file_id, item.version_id);
                    let (chunks, _) = store::processing::set_ready(change, workspace, file, version).await?;
                    change.emit(EventType::FileReady, file, json!({ "versionId": version, "chunks": chunks }));
                }
            }
        }
    }
    change.emit(EventType::RunEnded, run, json!({ "state": state }));
    Ok(true)
}

/// Puts failed items back into the queue: those with a code, or one item, if given. Returns their number.
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
    let Ok(compiled) = pipeline::compile(&definition) else { return Ok(0) };
    let items = store::run::requeue_failed(change, workspace, run, code, item).await?;
    let retried = NewEntry::new(LogKind::Retried, None, "put back into the queue");
    for (id, entry) in &items {
        store::item_log::append(change, workspace, *id, &retried).await?;
        let entry = usize::try_from(*entry).unwrap_or_default();
        let job = segment_job(&compiled.plan, (run, row.low_priority), *id, entry, None);
        outbox::enqueue(change, workspace, &job).await?;
        let Some(item) = store::run_item::find(change.tx(), workspace, *id).await? else { continue };
        if item.decides_file() {
            store::file::set_state(change, workspace, item.version_id, FileState::Queued, None).await?;
            change.emit(EventType::FileQueued, item.file_id, json!({ "versionId": item.version_id }));
        }
    }
    let objects = if item.is_none() && row.syncs { retry_objects(change, workspace, &row, code).await? } else { 0 };
    Ok(items.len() + objects)
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
