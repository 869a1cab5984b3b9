//! Removing bytes that nothing refers to.

use std::{error::Error, time::Duration};

use futures::TryStreamExt;
use nvisy_shared::store::TransactionTrait;
use nvisy_shared::{clock, store};

use crate::context::Context;

/// Content stays this long after its last use: an upload under way may have found it stored.
const UNUSED: Duration = Duration::from_secs(3600);
/// An object without a row this old belongs to no upload under way: its process died between bytes and row.
const ORPHANED: Duration = Duration::from_secs(24 * 3600);
/// Blobs removed in one transaction.
const BATCH: i64 = 200;

/// Removes blobs without references: row first, object second, so that a crash leaves an orphan, never a row without bytes.
pub(super) async fn blobs(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let tx = cx.db.begin().await?;
        let unused = store::file::take_unused_blobs(&tx, UNUSED.as_secs_f64(), BATCH).await?;
        tx.commit().await?;
        for (workspace, blob) in &unused {
            cx.blobs.delete(*workspace, *blob).await?;
        }
        if unused.is_empty() {
            return Ok(());
        }
        tracing::info!(blobs = unused.len(), "removed content that nothing refers to");
    }
}

/// Removes objects without rows.
pub(super) async fn orphans(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut objects = std::pin::pin!(cx.blobs.list().await?);
    while let Some(object) = objects.try_next().await? {
        let age = (clock::now() - object.started).to_std().unwrap_or_default();
        if age > ORPHANED && !store::file::blob_is_registered(&cx.db, object.workspace, object.blob).await? {
            cx.blobs.delete(object.workspace, object.blob).await?;
            tracing::info!(blob.id = %object.blob, "removed an object of an upload that never ended");
        }
    }
    Ok(())
}
