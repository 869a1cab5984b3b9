//! The states of files whose arrival has started items that ended.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use nvisy_shared::{
    domain::{event::EventType, file::FileState},
    id::{VersionId, WorkspaceId},
    store::{self, change::Change, run_item::Item, target::Written},
};
use serde_json::json;

use crate::runner::JobError;

/// A version whose state was set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SettledVersion {
    /// Whether it is ready; otherwise it failed.
    pub(super) is_ready: bool,
    /// The time since its upload, if search finds it only now.
    pub(super) searchable_after: Option<Duration>,
}

/// Sets the states of files once all pipelines that process them are done; `ended` are items that have just ended, `written` what
/// pipelines have written for their files. Returns the versions whose state was set.
pub(super) async fn files(
    change: &mut Change,
    workspace: WorkspaceId,
    ended: &[&Item],
    written: &HashMap<VersionId, Written>,
) -> Result<HashMap<VersionId, SettledVersion>, JobError> {
    let mut known = HashSet::new();
    let of: Vec<_> = ended
        .iter()
        .filter(|item| item.decides_file() && known.insert(item.version_id))
        .map(|item| (item.file_id, item.version_id))
        .collect();
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let versions: Vec<_> = of.iter().map(|(_, version)| *version).collect();
    let mut outcomes = store::processing::arrival_outcomes(change, workspace, &versions).await?;
    let (mut settled, mut ready) = (HashMap::new(), Vec::new());
    for (file, version) in of {
        let Some(outcome) = outcomes.remove(&version) else { continue };
        settled.insert(version, SettledVersion::default());
        let Some(failure) = outcome.failure else {
            ready.push((file, version));
            continue;
        };
        store::file::set_state(change, workspace, version, FileState::Failed, Some(&failure)).await?;
        change.emit(EventType::FileFailed, file, json!({ "code": failure.code, "detail": failure.detail }));
    }
    // Of a failed item it is not known.
    let may_have_targets = |version: &VersionId| written.get(version).is_none_or(|written| written.targets);
    let (with, without): (Vec<_>, Vec<_>) = ready.into_iter().partition(|(_, version)| may_have_targets(version));
    for (mut left, have_targets) in [(without, false), (with, true)] {
        while !left.is_empty() {
            // One version of a file at a time, in the order of the items.
            let mut files = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(file, _)| files.insert(*file));
            let made = store::processing::set_all_ready(change, workspace, &now, have_targets).await?;
            for (file, version) in now {
                let ready = made.get(&version).copied().unwrap_or_default();
                change.emit(EventType::FileReady, file, json!({ "versionId": version, "chunks": ready.chunks }));
                let searchable_after = ready.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                settled.insert(version, SettledVersion { is_ready: true, searchable_after });
            }
            left = later;
        }
    }
    Ok(settled)
}
