//! Garbage collection of stored bytes.

use std::{error::Error, time::Duration};

use futures::TryStreamExt;
use nvisy_shared::store::TransactionTrait;
use nvisy_shared::{clock, store};

use crate::context::Context;

/// How long content stays after its last use, because an upload in progress may have found it stored.
const UNUSED_BLOB_AGE: Duration = Duration::from_secs(3600);
/// How long the output of a node stays after its last use.
const UNUSED_ARTIFACT_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Age at which an object without a row belongs to no upload in progress: its process died between bytes and row.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);
/// Blobs removed in one transaction.
const BATCH_SIZE: i64 = 200;

/// Removes blobs without references: first the row, then the object, so that a crash leaves an orphan, never a row without bytes.
pub(super) async fn unreferenced_blobs(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let tx = cx.db.begin().await?;
        let unused = store::file::delete_unused_blobs(&tx, UNUSED_BLOB_AGE.as_secs_f64(), BATCH_SIZE).await?;
        tx.commit().await?;
        for (workspace, blob) in &unused {
            cx.blobs.delete(*workspace, *blob).await?;
        }
        if unused.is_empty() {
            return Ok(());
        }
        tracing::info!(blobs = unused.len(), "removed unreferenced content");
    }
}

/// Removes outputs of nodes that no run has used for long, and old answers of models.
pub(super) async fn unused_artifacts(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while store::model_usage::delete_answers(&cx.db, UNUSED_ARTIFACT_AGE, BATCH_SIZE).await? > 0 {}
    loop {
        let deleted = store::artifact::delete_unused(&cx.db, UNUSED_ARTIFACT_AGE, BATCH_SIZE).await?;
        if deleted == 0 {
            return Ok(());
        }
        tracing::info!(artifacts = deleted, "removed unused outputs");
    }
}

/// Removes fingerprints that no run compares with any more.
pub(super) async fn obsolete_fingerprints(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    store::fingerprint::delete_obsolete(&cx.db).await?;
    Ok(())
}

/// Removes pipelines that were made for one run, once its outputs are gone. A pipeline whose rows are in a collection stays: they
/// would go with it.
pub(super) async fn expired_inline_pipelines(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some((workspace, pipeline)) = store::pipeline::next_expired_inline(&cx.db, UNUSED_ARTIFACT_AGE).await? {
        let tx = cx.db.begin().await?;
        store::pipeline::delete(&tx, workspace, pipeline).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Removes files that deleted pipelines have made of others.
pub(super) async fn abandoned_files(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while store::derived::delete_abandoned(&cx.db, BATCH_SIZE).await? > 0 {}
    Ok(())
}

/// Removes answers of connections that were given long ago.
pub(super) async fn old_connection_queries(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    store::connection_query::delete_old(&cx.db, ORPHAN_AGE).await?;
    Ok(())
}

/// Removes objects without rows.
pub(super) async fn orphaned_objects(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut objects = std::pin::pin!(cx.blobs.list().await?);
    while let Some(object) = objects.try_next().await? {
        let age = (clock::now() - object.started).to_std().unwrap_or_default();
        if age > ORPHAN_AGE && !store::file::blob_is_registered(&cx.db, object.workspace, object.blob).await? {
            cx.blobs.delete(object.workspace, object.blob).await?;
            tracing::info!(blob.id = %object.blob, "removed an object of an unfinished upload");
        }
    }
    Ok(())
}
