//! Ending runs.

use serde_json::json;

use super::start::{ItemsOfRun, Selection};
use crate::{
    domain::{
        event::EventType,
        failure::Failure,
        file::FileState,
        run::{RunState, RunTrigger},
    },
    entity::run,
    id::{FileId, JobId, PipelineId, RunId, WorkspaceId},
    job::DeliverRun,
    queue::outbox,
    store::{self, Result, change::Change, run_item::Item},
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
    // Each upload is a run: only requests with a definition name a receiver.
    if item.trigger == RunTrigger::Inline {
        notify(change, workspace, item.run_id).await?;
    }
    super::after::start_followers(change, workspace, item.pipeline_id, state, &files_of_run(item)).await
}

/// The files of a run, of which this item ended last.
fn files_of_run(item: &Item) -> Selection {
    let is_only_file = matches!(item.trigger, RunTrigger::Upload | RunTrigger::Change) && item.parent.is_none();
    if is_only_file {
        return Selection { files: Some(vec![item.file_id]), ..Selection::default() };
    }
    // Members enter with the files that they are in.
    Selection { items_of: Some(ItemsOfRun { run: item.run_id, state: None }), ..Selection::default() }
}

/// Records the end of a run that no file has entered.
///
/// # Errors
/// When the database fails.
pub async fn ended_without_items(
    change: &mut Change,
    workspace: WorkspaceId,
    run: RunId,
    pipeline: PipelineId,
    state: RunState,
) -> Result<()> {
    change.emit(EventType::RunEnded, run, json!({ "pipelineId": pipeline, "state": state }));
    notify(change, workspace, run).await
}

/// Deletes a file, and ends the runs that waited for nothing else. `false`: there is no such file.
///
/// # Errors
/// When the database fails.
pub async fn delete_file(change: &mut Change, workspace: WorkspaceId, file: FileId) -> Result<bool> {
    let Some(runs) = store::file::delete(change, workspace, file).await? else { return Ok(false) };
    end_finished(change, workspace, runs).await?;
    Ok(true)
}

/// Ends those of these runs for which nothing is left to do, because files of theirs were deleted. The usage of the workspace is locked.
///
/// # Errors
/// When the database fails.
pub async fn end_finished(change: &mut Change, workspace: WorkspaceId, runs: Vec<RunId>) -> Result<()> {
    for run in runs {
        let Some(state) = store::run::finish_run(change, workspace, run, None).await? else { continue };
        if let Some(row) = store::run::find(change.tx(), workspace, run).await? {
            ended_without_its_last_item(change, workspace, &row, state).await?;
        }
    }
    Ok(())
}

/// Records the end of a run whose last open items are gone.
pub(super) async fn ended_without_its_last_item(
    change: &mut Change,
    workspace: WorkspaceId,
    run: &run::Model,
    state: RunState,
) -> Result<()> {
    if run.trigger != RunTrigger::Upload {
        change.emit(EventType::RunEnded, run.id, json!({ "pipelineId": run.pipeline_id, "state": state }));
    }
    if run.preview {
        return Ok(());
    }
    notify(change, workspace, run.id).await?;
    if run.items > 0 {
        let files = Selection { items_of: Some(ItemsOfRun { run: run.id, state: None }), ..Selection::default() };
        super::after::start_followers(change, workspace, run.pipeline_id, state, &files).await?;
    }
    Ok(())
}

/// Adds the job that tells the receiver of a run of its end, if the run has one.
async fn notify(change: &Change, workspace: WorkspaceId, run: RunId) -> Result<()> {
    if store::run::has_webhook(change.tx(), workspace, run).await? {
        outbox::enqueue(change, workspace, &DeliverRun { run }).await?;
    }
    Ok(())
}

/// Deletes the jobs of runs except one, and locks their files and items that are not finished, in the order of workers. [`abort`] begins
/// with it; a transaction that ends several runs, or changes an item before, calls it first.
///
/// # Errors
/// When the database fails.
pub async fn lock_open(change: &Change, workspace: WorkspaceId, runs: &[RunId], except: Option<JobId>) -> Result<()> {
    for run in runs {
        store::job::delete_of_run(change, *run, except).await?;
    }
    let items = store::run_item::open_of_runs(change.tx(), workspace, runs.to_vec()).await?;
    store::locks::lock_items(change, workspace, items).await?;
    Ok(())
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
    lock_open(change, workspace, &[run], except).await?;
    let Some(items) = store::run::abort(change, workspace, run, state, failure).await? else { return Ok(false) };
    // Otherwise the next run would begin at once, and end as this one.
    store::source_notification::forget_of_run(change, workspace, run).await?;
    store::source_object::forget_cancelled(change, workspace, run).await?;
    // What a sink has begun to write outside goes as well, once its worker has noticed.
    store::external_target::abandon(change, workspace, items.clone()).await?;
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
                    let ready = store::processing::set_ready(change, workspace, file, version).await?;
                    change.emit(EventType::FileReady, file, json!({ "versionId": version, "chunks": ready.chunks }));
                }
            }
        }
    }
    change.emit(EventType::RunEnded, run, json!({ "state": state }));
    notify(change, workspace, run).await?;
    Ok(true)
}

/// Ends all runs of a pipeline that is to be deleted and whose jobs are: otherwise their files would stay in process.
///
/// # Errors
/// When the database fails.
pub async fn abort_of_pipeline(change: &mut Change, workspace: WorkspaceId, pipeline: PipelineId) -> Result<()> {
    let runs = store::run::open_of_pipeline(change.tx(), workspace, pipeline).await?;
    lock_open(change, workspace, &runs, None).await?;
    for run in runs {
        abort(change, workspace, run, RunState::Cancelled, None, None).await?;
    }
    Ok(())
}
