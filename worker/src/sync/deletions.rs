//! Objects that are gone: the policy of the source for their files.

use nvisy_shared::{
    domain::{activity::Action, event::EventType},
    id::FileId,
    pipeline::node::source_connection::Deletions,
    runs,
    store::{
        self,
        change::Change,
        source_object::{self, Sharing, SourceNode},
    },
};
use serde_json::json;

use super::SyncedSource;
use crate::runner::JobError;

/// Applies the policy to objects of a node that are gone.
pub(crate) async fn apply(
    change: &mut Change,
    of: &SyncedSource,
    node: &SourceNode,
    gone: &[(String, Option<FileId>)],
) -> Result<(), JobError> {
    // The files before their objects, as in every deletion.
    apply_to_files(change, of, node, gone.iter().filter_map(|(_, file)| *file).collect()).await?;
    let ids = gone.iter().map(|(id, _)| id.clone()).collect();
    match of.settings.deletions {
        Deletions::Ignore | Deletions::Mark => source_object::set_deleted(change, of.workspace, node, ids).await?,
        Deletions::Delete => source_object::forget(change, of.workspace, node, ids).await?,
    }
    Ok(())
}

/// Locks files before others that the transaction changes: [`apply_to_files`] follows.
pub(crate) async fn lock(change: &Change, of: &SyncedSource, files: &[FileId]) -> Result<(), JobError> {
    if !files.is_empty() {
        store::locks::lock_for_deletions(change, of.workspace, files.to_vec()).await?;
    }
    Ok(())
}

/// Applies the policy to files whose objects the node has no more.
pub(crate) async fn apply_to_files(
    change: &mut Change,
    of: &SyncedSource,
    node: &SourceNode,
    files: Vec<FileId>,
) -> Result<(), JobError> {
    match of.settings.deletions {
        Deletions::Ignore => {}
        Deletions::Mark => mark(change, of, node, files).await?,
        Deletions::Delete => delete(change, of, node, files).await?,
    }
    Ok(())
}

async fn mark(change: &Change, of: &SyncedSource, node: &SourceNode, files: Vec<FileId>) -> Result<(), JobError> {
    let mut alone = Vec::new();
    for file in files {
        if source_object::sharing(change.tx(), of.workspace, node, file).await? == Sharing::Alone {
            alone.push(file);
        }
    }
    source_object::mark_files(change, of.workspace, alone).await?;
    Ok(())
}

async fn delete(change: &mut Change, of: &SyncedSource, node: &SourceNode, files: Vec<FileId>) -> Result<(), JobError> {
    lock(change, of, &files).await?;
    for file in files {
        match source_object::sharing(change.tx(), of.workspace, node, file).await? {
            Sharing::SamePipeline => {}
            // It stays for another pipeline, without what this one has made of it.
            Sharing::OtherPipelines => {
                store::target::delete_of_file(change, of.workspace, node.pipeline, file).await?;
            }
            Sharing::Alone => {
                if runs::delete_file(change, of.workspace, file).await? {
                    change.audit_with(Action::FileDeleted, file, json!({ "runId": of.run.id }));
                    change.emit(EventType::FileDeleted, file, json!({}));
                }
            }
        }
    }
    Ok(())
}
