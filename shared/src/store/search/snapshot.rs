//! The transaction of a search.

use crate::store::{Conn, Db, Result, TransactionTrait, Tx};

/// Begins the transaction of a search: all of its statements read one snapshot.
pub(super) async fn begin(db: &Db) -> Result<Tx> {
    let tx = db.begin().await?;
    // PostgreSQL plans a statement with parameters anew each time if it expects to save more than planning costs, and the
    // statements of a search are made so that nothing can be saved. The plan for an average tenant must not read a table whole.
    tx.execute_unprepared(
        "set transaction isolation level repeatable read, read only; set local plan_cache_mode = force_generic_plan;
         set local enable_seqscan = off",
    )
    .await?;
    Ok(tx)
}
