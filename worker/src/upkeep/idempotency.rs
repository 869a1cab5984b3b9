//! Forgetting old answers to idempotent requests.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// How long a repeated request gets its first answer.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Forgets answers older than a day.
pub(super) async fn forget(cx: &Context) -> store::Result<()> {
    store::idempotency::forget_older_than(&cx.db, KEPT).await.map(drop)
}
