//! Forgetting old events.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Events forgotten in one statement, during which the workspace's next event waits.
const BATCH: i64 = 1000;

/// Forgets events that have been kept as long as the settings say.
pub(super) async fn forget(cx: &Context) -> store::Result<()> {
    let kept = Duration::from_secs(cx.config.event.days * 24 * 3600);
    for workspace in store::event::outlived(&cx.db, kept).await? {
        while store::event::forget(&cx.db, workspace, kept, BATCH).await? == BATCH as u64 {}
    }
    Ok(())
}
