//! The visible progress of an item: states, counts and events, changed together.

use nvisy_shared::{
    domain::{event::EventType, failure::Failure, file::FileState},
    id::{ItemId, WorkspaceId},
    store::{self, Tx, run::Item},
};
use serde_json::json;

use crate::runner::JobError;

/// Locks an unfinished item. [`JobError::Obsolete`] when it is finished or its file is deleted.
pub(super) async fn open_item(tx: &Tx, workspace: WorkspaceId, item: ItemId) -> Result<Item, JobError> {
    let item = store::run::lock_item(tx, workspace, item).await?;
    item.filter(|item| matches!(item.state, FileState::Queued | FileState::Processing)).ok_or(JobError::Obsolete)
}

/// Records that a worker has started the item.
pub(super) async fn started(tx: &Tx, workspace: WorkspaceId, item: &Item, stage: &str) -> Result<(), JobError> {
    store::run::start_item(tx, workspace, item).await?;
    store::file::set_state(tx, workspace, item.version_id, FileState::Processing, None).await?;
    progressed(tx, workspace, item, stage, 0, None).await
}

/// Records progress within a stage.
pub(super) async fn progressed(
    tx: &Tx,
    workspace: WorkspaceId,
    item: &Item,
    stage: &str,
    done: i32,
    total: Option<i32>,
) -> Result<(), JobError> {
    let data = json!({ "stage": stage, "done": done, "total": total });
    store::event::append(tx, workspace, EventType::FileProgressed, item.file_id.0, data).await?;
    Ok(())
}

/// Records that the file is searchable. Returns the seconds since the upload.
pub(super) async fn finished(tx: &Tx, workspace: WorkspaceId, item: &Item) -> Result<Option<f64>, JobError> {
    store::file::set_state(tx, workspace, item.version_id, FileState::Ready, None).await?;
    let seconds = store::file::make_live(tx, workspace, item.file_id, item.version_id).await?;
    store::run::finish_item(tx, workspace, item, None).await?;
    let data = json!({ "versionId": item.version_id, "chunks": item.total });
    store::event::append(tx, workspace, EventType::FileReady, item.file_id.0, data).await?;
    Ok(seconds)
}

/// Records that the file failed, and removes its partial results.
pub(super) async fn failed(tx: &Tx, workspace: WorkspaceId, item: ItemId, failure: &Failure) -> Result<(), JobError> {
    let item = match open_item(tx, workspace, item).await {
        Err(JobError::Obsolete) => return Ok(()),
        item => item?,
    };
    store::file::set_state(tx, workspace, item.version_id, FileState::Failed, Some(failure)).await?;
    store::chunk::replace(tx, workspace, item.file_id, item.version_id, Vec::new()).await?;
    store::run::finish_item(tx, workspace, &item, Some(failure)).await?;
    let data = json!({ "code": failure.code, "detail": failure.detail });
    store::event::append(tx, workspace, EventType::FileFailed, item.file_id.0, data).await?;
    Ok(())
}
