//! The index of words: merging its rows, and adding those of chunks that are older than it.

use nvisy_shared::store::{self, TransactionTrait, posting};

use crate::context::Context;

/// Adds the postings of chunks that a version without them has written, a target at a time.
pub(super) async fn add_missing(cx: &Context) -> store::Result<()> {
    let mut count = 0_u64;
    while let Some((workspace, target, file)) = posting::next_without_postings(&cx.db).await? {
        let tx = cx.db.begin().await?;
        posting::add_missing(&tx, workspace, target, file).await?;
        tx.commit().await?;
        count += 1;
    }
    if count > 0 {
        tracing::info!(targets = count, "indexed the words of older chunks");
    }
    Ok(())
}

/// Merges the rows of collections, each once: what is left waits for the next time.
pub(super) async fn merge(cx: &Context) -> store::Result<()> {
    for collection in posting::next_fragmented(&cx.db).await? {
        posting::merge(&cx.db, collection).await?;
    }
    Ok(())
}
