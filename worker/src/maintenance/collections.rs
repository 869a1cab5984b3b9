//! Deleted collections, the targets of deleted pipelines, and superseded ones that nothing keeps.

use std::error::Error;

use nvisy_shared::{
    id::{FileId, TargetId},
    store::{self, TransactionTrait},
};

use crate::context::Context;

/// Targets removed at once: each has the chunks and vectors of one file.
const BATCH_SIZE: i64 = 20;
/// Superseded targets that are looked for at once, because the search for them reads all that are kept.
const BATCH_SUPERSEDED: i64 = 1_000;
/// Rows of postings removed at once.
const BATCH_POSTINGS: i64 = 20_000;

/// Erases deleted collections: their targets in batches, with chunks and vectors, then postings, then the row. An interrupted erasure goes on
/// the next time.
pub(super) async fn erase(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some((workspace, collection)) = store::collection::next_deleted(&cx.db).await? {
        loop {
            let tx = cx.db.begin().await?;
            let deleted = store::target::delete_of_collection(&tx, workspace, collection, BATCH_SIZE).await?;
            tx.commit().await?;
            if deleted == 0 {
                break;
            }
        }
        while store::posting::delete_of_collection(&cx.db, workspace, collection, BATCH_POSTINGS).await? > 0 {}
        // A job that was running may have added a target after the last batch: then the collection is the next one again.
        if store::collection::erase(&cx.db, workspace, collection).await? {
            tracing::info!(workspace.id = %workspace, collection.id = %collection, "erased a deleted collection");
        }
    }
    Ok(())
}

/// Removes the targets of deleted pipelines, which search does not read any more.
pub(super) async fn delete_abandoned_targets(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(workspace) = store::target::next_abandoned(&cx.db).await? {
        let tx = cx.db.begin().await?;
        store::target::delete_abandoned(&tx, workspace, BATCH_SIZE).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Removes superseded targets that neither the history of their collection nor a snapshot keeps any more.
pub(super) async fn delete_expired_targets(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let expired = store::target::expired(&cx.db, BATCH_SUPERSEDED).await?;
        for of_workspace in expired.chunk_by(|(one, ..), (other, ..)| one == other) {
            for batch in of_workspace.chunks(usize::try_from(BATCH_SIZE)?) {
                let targets: Vec<(TargetId, FileId)> = batch.iter().map(|(_, target, file)| (*target, *file)).collect();
                let tx = cx.db.begin().await?;
                store::target::delete_expired(&tx, batch[0].0, targets).await?;
                tx.commit().await?;
            }
        }
        if i64::try_from(expired.len())? < BATCH_SUPERSEDED {
            return Ok(());
        }
    }
}
