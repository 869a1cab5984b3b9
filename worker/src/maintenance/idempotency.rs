//! Forgetting old answers to idempotent requests.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Forgets answers that the API gives to nobody any more, and keys that nobody holds.
pub(super) async fn forget(cx: &Context) -> store::Result<()> {
    let kept = Duration::from_secs(cx.config.http.idempotency_seconds);
    store::idempotency::forget_older_than(&cx.db, kept).await?;
    store::idempotency::forget_claims(&cx.db).await.map(drop)
}
