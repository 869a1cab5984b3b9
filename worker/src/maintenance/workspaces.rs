//! Deleted workspaces, expired invites, and files older than the retention of their workspace.

use std::error::Error;

use nvisy_shared::{
    domain::{activity::Action, event::EventType},
    id::WorkspaceId,
    runs,
    store::{
        self,
        activity::ActorContext,
        change::{Change, ChangeScope},
    },
};
use serde_json::json;

use crate::context::Context;

/// Files or blobs removed at once.
const BATCH_SIZE: i64 = 100;

/// Erases deleted workspaces: files with their chunks and vectors, then bytes, then the remaining rows. An interrupted erasure
/// goes on the next time; several workers may erase the same workspace.
pub(super) async fn erase(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(workspace) = store::workspace::next_deleted(&cx.db).await? {
        while store::file::delete_batch(&cx.db, workspace, BATCH_SIZE).await? > 0 {}
        loop {
            let blobs = store::file::list_blobs(&cx.db, workspace, BATCH_SIZE).await?;
            if blobs.is_empty() {
                break;
            }
            // The object first: the row is the only record that the object must go.
            for blob in &blobs {
                cx.blobs.delete(workspace, *blob).await?;
            }
            store::file::delete_blob_rows(&cx.db, workspace, &blobs).await?;
        }
        let changes = changes(cx, workspace);
        let erased = changes.run_send(|| {
            async |change| {
                if store::workspace::erase(change, workspace).await? {
                    change.audit(Action::WorkspaceErased, workspace);
                }
                store::Result::Ok(())
            }
        });
        erased.await?;
        tracing::info!(workspace.id = %workspace, "erased a deleted workspace");
    }
    Ok(())
}

/// Deletes files that are older than the retention of their workspace.
pub(super) async fn apply_retention(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let files = store::workspace::files_past_retention(&cx.db, BATCH_SIZE).await?;
        if files.is_empty() {
            return Ok(());
        }
        for (workspace, file) in files {
            let changes = changes(cx, workspace);
            let deleted = changes.run_send(|| {
                async |change: &mut Change| {
                    if runs::delete_file(change, workspace, file).await? {
                        change.audit_with(Action::FileDeleted, file, json!({ "reason": "retention" }));
                        change.emit(EventType::FileDeleted, file, json!({}));
                    }
                    store::Result::Ok(())
                }
            });
            deleted.await?;
        }
    }
}

fn changes(cx: &Context, workspace: WorkspaceId) -> ChangeScope<'_> {
    ChangeScope::new(&cx.db, &cx.audit_keys, workspace, ActorContext::system())
}

/// Deletes expired invites.
pub(super) async fn delete_expired_invites(cx: &Context) -> store::Result<()> {
    store::invite::delete_expired(&cx.db).await.map(drop)
}
