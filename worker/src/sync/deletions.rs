//! Objects that are gone: the policy of the source for their files.

use nvisy_shared::{
    domain::{activity::Action, event::EventType},
    id::FileId,
    pipeline::node::source_connection::Deletions,
    store::{self, change::Change, source_object},
};
use serde_json::json;

use super::SyncedSource;
use crate::runner::JobError;

/// Applies the policy to objects that are gone.
pub(crate) async fn apply(
    change: &mut Change,
    of: &SyncedSource,
    gone: &[(String, Option<FileId>)],
) -> Result<(), JobError> {
    let ids = || gone.iter().map(|(id, _)| id.clone()).collect();
    match of.settings.deletions {
        Deletions::Ignore => source_object::set_deleted(change, of.workspace, &of.node, ids(), false).await?,
        Deletions::Mark => source_object::set_deleted(change, of.workspace, &of.node, ids(), true).await?,
        Deletions::Delete => delete(change, of, gone).await?,
    }
    Ok(())
}

async fn delete(change: &mut Change, of: &SyncedSource, gone: &[(String, Option<FileId>)]) -> Result<(), JobError> {
    let files = gone.iter().filter_map(|(_, file)| *file).collect();
    store::locks::lock_for_deletions(change, of.workspace, files).await?;
    for (id, file) in gone {
        if let Some(file) = *file {
            // The file before its objects, as in every deletion.
            if source_object::is_shared(change.tx(), of.workspace, &of.node, file).await? {
                // It stays for another source, without what this pipeline has made of it.
                store::target::delete_of_file(change, of.workspace, of.node.pipeline, file).await?;
            } else if store::file::delete(change, of.workspace, file).await? {
                change.audit_with(Action::FileDeleted, file, json!({ "runId": of.run.id }));
                change.emit(EventType::FileDeleted, file, json!({}));
            }
        }
        source_object::forget(change, of.workspace, &of.node, id).await?;
    }
    Ok(())
}
