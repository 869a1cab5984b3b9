//! The visible progress of an item: states, counts and events, changed together.

use nvisy_shared::{
    domain::{event::EventType, failure::Failure, file::FileState},
    id::{ItemId, WorkspaceId},
    store::{self, change::Change, run::Item},
};
use serde_json::json;

use crate::runner::JobError;

/// Locks an unfinished item and its file. [`JobError::Obsolete`] when the item is finished or the file is deleted.
pub(super) async fn open_item(change: &Change, workspace: WorkspaceId, item: ItemId) -> Result<Item, JobError> {
    let item = store::locks::lock_item(change, workspace, item).await?;
    item.filter(|item| matches!(item.state, FileState::Queued | FileState::Processing)).ok_or(JobError::Obsolete)
}

/// Records that a worker has started the item.
pub(super) async fn started(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
    stage: &str,
) -> Result<(), JobError> {
    store::run::start_item(change, workspace, item).await?;
    store::file::set_state(change, workspace, item.version_id, FileState::Processing, None).await?;
    progressed(change, item, stage, 0, None);
    Ok(())
}

/// Progress events of a stage, at most: a long file must not fill the event log.
const MAX_EVENTS: i64 = 64;

/// Whether an event is due when the units done rise from `before` to `after`.
pub(super) fn is_step(before: i32, after: i32, total: Option<i32>) -> bool {
    let step = |done: i32| i64::from(done) * MAX_EVENTS / i64::from(total.unwrap_or_default()).max(1);
    step(before) < step(after)
}

/// Records progress within a stage.
pub(super) fn progressed(change: &mut Change, item: &Item, stage: &str, done: i32, total: Option<i32>) {
    let data = json!({ "stage": stage, "done": done, "total": total });
    change.emit(EventType::FileProgressed, item.file_id, data);
}

/// Records that the file is searchable. Returns the seconds since the upload.
pub(super) async fn finished(
    change: &mut Change,
    workspace: WorkspaceId,
    item: &Item,
) -> Result<Option<f64>, JobError> {
    // The run before the chunks, whose deletion locks the workspace's usage.
    store::run::finish_item(change, workspace, item, None).await?;
    store::file::set_state(change, workspace, item.version_id, FileState::Ready, None).await?;
    let seconds = store::file::make_live(change, workspace, item.file_id, item.version_id).await?;
    change.emit(EventType::FileReady, item.file_id, json!({ "versionId": item.version_id, "chunks": item.total }));
    Ok(seconds)
}

/// Records that the file failed, and removes its partial results.
pub(super) async fn failed(
    change: &mut Change,
    workspace: WorkspaceId,
    item: ItemId,
    failure: &Failure,
) -> Result<(), JobError> {
    let item = match open_item(change, workspace, item).await {
        Err(JobError::Obsolete) => return Ok(()),
        item => item?,
    };
    store::run::finish_item(change, workspace, &item, Some(failure)).await?;
    store::file::set_state(change, workspace, item.version_id, FileState::Failed, Some(failure)).await?;
    store::chunk::replace(change, workspace, item.file_id, item.version_id, Vec::new()).await?;
    change.emit(EventType::FileFailed, item.file_id, json!({ "code": failure.code, "detail": failure.detail }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_stage_has_at_most_64_events_and_a_short_one_all() {
        let events = |total: i32, units: usize| {
            (0..total).step_by(units).filter(|done| is_step(*done, done + units as i32, Some(total))).count()
        };
        assert_eq!(events(13_000, 8), 64);
        assert_eq!(events(40, 8), 5);
    }
}
