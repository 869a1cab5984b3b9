//! The transaction of a search.

use crate::store::{Db, Result, db::ReadTransaction};

/// All statements of a search read one snapshot.
///
/// PostgreSQL plans a statement with parameters anew each time if it expects to save more than planning costs, and the statements
/// of a search are made so that nothing can be saved. The plan for an average tenant must not read a table whole.
const BEGIN: &str = "begin isolation level repeatable read, read only; set local plan_cache_mode = force_generic_plan;
     set local enable_seqscan = off";

/// Begins the transaction of a search.
pub(super) async fn begin(db: &Db) -> Result<ReadTransaction> {
    db.read_transaction(BEGIN).await
}
