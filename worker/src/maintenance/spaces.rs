//! Embedding spaces of connections.

use std::error::Error;

use nvisy_shared::store::{self, TransactionTrait};

use crate::context::Context;

/// Vectors above which a space gets an index. Fewer are compared exactly.
const INDEXED_VECTORS: i64 = 10_000;

/// Removes the spaces that no collection uses any more, and indexes those that have become large.
pub(super) async fn tidy(cx: &Context) -> Result<(), Box<dyn Error + Send + Sync>> {
    let tx = cx.db.begin().await?;
    let deleted = store::space::delete_unused(&tx).await?;
    tx.commit().await?;
    if deleted > 0 {
        tracing::info!(spaces = deleted, "removed unused embedding spaces of connections");
    }
    for space in store::space::without_index(&cx.db, INDEXED_VECTORS).await? {
        let tx = cx.db.begin().await?;
        store::space::create_index(&tx, space.id, u16::try_from(space.dimensions)?).await?;
        tx.commit().await?;
    }
    Ok(())
}
