//! Deleting expired responses to idempotent requests.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Deletes responses that the API no longer replays, and keys that no request holds.
pub(super) async fn delete_expired(cx: &Context) -> store::Result<()> {
    let retention = Duration::from_secs(cx.config.http.idempotency_seconds);
    store::idempotency::delete_older_than(&cx.db, retention).await?;
    store::idempotency::delete_expired_leases(&cx.db).await.map(drop)
}
