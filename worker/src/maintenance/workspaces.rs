//! Workspaces that were deleted, and files that have been there as long as their workspace keeps files.

use std::error::Error;

use nvisy_shared::{
    domain::{activity::Action, event::EventType},
    store::{
        self, TransactionTrait,
        activity::{self, ActorContext, AuditEntry},
    },
};
use serde_json::json;

use crate::context::Context;

/// Files and blobs removed at once.
const BATCH: i64 = 100;

/// Erases deleted workspaces: files with their chunks and vectors, then bytes, then all that is left. What is cut short
/// goes on the next time; several workers may be at the same one.
pub(super) async fn erase(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(workspace) = store::workspace::deleted(&cx.db).await? {
        while store::file::delete_some(&cx.db, workspace, BATCH).await? > 0 {}
        loop {
            let blobs = store::file::blobs(&cx.db, workspace, BATCH).await?;
            if blobs.is_empty() {
                break;
            }
            // The object first: without its row nobody would know that it is to go.
            for blob in &blobs {
                cx.blobs.delete(workspace, *blob).await?;
            }
            store::file::forget_blobs(&cx.db, workspace, &blobs).await?;
        }
        let tx = cx.db.begin().await?;
        if store::workspace::erase(&tx, workspace).await? {
            let act = AuditEntry::new(Action::WorkspaceErased, workspace.0, json!({}));
            activity::append(&tx, &cx.audit_keys, workspace, &ActorContext::system(), &[act]).await?;
        }
        tx.commit().await?;
        tracing::info!(workspace.id = %workspace, "erased a deleted workspace");
    }
    Ok(())
}

/// Deletes files that have outlived the retention of their workspace.
pub(super) async fn retain(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let files = store::workspace::outlived(&cx.db, BATCH).await?;
        if files.is_empty() {
            return Ok(());
        }
        for (workspace, file) in files {
            let tx = cx.db.begin().await?;
            if store::file::delete(&tx, workspace, file).await? {
                let act = AuditEntry::new(Action::FileDeleted, file.0, json!({ "reason": "retention" }));
                activity::append(&tx, &cx.audit_keys, workspace, &ActorContext::system(), &[act]).await?;
                store::event::append(&tx, workspace, EventType::FileDeleted, file.0, json!({})).await?;
            }
            tx.commit().await?;
        }
    }
}

/// Forgets invites that nobody can use any more.
pub(super) async fn forget_invites(cx: &Context) -> store::Result<()> {
    store::invite::forget_expired(&cx.db).await.map(drop)
}
