//! Embedding spaces and their indexes.

use std::{cmp::Reverse, error::Error};

use nvisy_shared::store::{self, TransactionTrait, space_index::IndexSize};

use crate::context::Context;

/// Vectors above which a space gets an index. Fewer are compared exactly.
const INDEXED_VECTORS: i64 = 10_000;
/// The size below which an index is not worth building anew.
const REBUILT_BYTES: i64 = 64 << 20;

/// Removes the spaces that requests have created and no collection uses any more.
pub(super) async fn delete_unused(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let tx = cx.db.begin().await?;
    let deleted = store::space::delete_unused(&tx).await?;
    tx.commit().await?;
    if deleted > 0 {
        tracing::info!(spaces = deleted, "removed unused embedding spaces");
    }
    Ok(())
}

/// Indexes the spaces that requests have created and that have become large. Tries again at the next interval while an index is being
/// built: the writers of vectors would wait for its end, because they wait behind the lock of a new index.
pub(super) async fn create_indexes(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    for space in store::space::without_index(&cx.db, INDEXED_VECTORS).await? {
        if store::space_index::is_building(&cx.db).await? {
            return Ok(());
        }
        let tx = cx.db.begin().await?;
        store::space::create_index(&tx, space.id, u16::try_from(space.dimensions)?).await?;
        tx.commit().await?;
        tracing::info!(space = %space.id, "indexed an embedding space");
    }
    Ok(())
}

/// Drops what interrupted builds have left, and builds the largest index anew of those that are mostly of deleted vectors.
/// One at a time: each needs the room of a second one.
pub(super) async fn rebuild_index(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    if store::space_index::is_building(&cx.db).await? {
        tracing::info!("indexes of vectors are not examined: one is being built");
        return Ok(());
    }
    for name in store::space_index::invalid(&cx.db).await? {
        if let Err(error) = store::space_index::drop_invalid(&cx.db, &name).await {
            let error = &error as &dyn Error;
            tracing::warn!(
                index = name,
                error,
                "an invalid index of vectors is left: the owner of the schema must drop it"
            );
            return Ok(());
        }
        tracing::info!(index = name, "dropped an invalid index of vectors, which an interrupted build has left");
    }
    let mut dead = store::space_index::list(&cx.db, REBUILT_BYTES).await?;
    dead.retain(IndexSize::is_mostly_dead);
    dead.sort_by_key(|index| Reverse(index.bytes));
    let mut largest = None;
    for index in dead {
        // Vectors that are not live yet are in the index, too.
        let index = IndexSize { vectors: store::space_index::count_vectors(&cx.db, index.id).await?, ..index };
        if index.is_mostly_dead() {
            largest = Some(index);
            break;
        }
    }
    let Some(index) = largest else { return Ok(()) };
    tracing::info!(space = %index.id, bytes = index.bytes, vectors = index.vectors, "building an index of mostly deleted vectors anew");
    Ok(store::space_index::rebuild(&cx.db, index.id).await?)
}
