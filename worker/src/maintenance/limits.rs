//! Forgetting who has made few requests lately.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Every bucket fills within a minute.
const FULL: Duration = Duration::from_secs(600);

/// Forgets buckets that are full again.
pub(super) async fn forget(cx: &Context) -> store::Result<()> {
    store::limit::forget_older_than(&cx.db, FULL).await.map(drop)
}
