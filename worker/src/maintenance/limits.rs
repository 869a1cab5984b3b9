//! Deleting rate-limit buckets that are full again.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Age of a bucket that is certainly full again: every bucket fills within a minute.
const FULL_BUCKET_AGE: Duration = Duration::from_secs(600);

/// Deletes buckets that are full again: a missing bucket counts as full.
pub(super) async fn delete_full(cx: &Context) -> store::Result<()> {
    store::rate_limit::delete_idle(&cx.db, FULL_BUCKET_AGE).await.map(drop)
}
