//! Deleting expired events.

use std::time::Duration;

use nvisy_shared::store;

use crate::context::Context;

/// Events deleted in one statement, during which the workspace's next event waits.
const BATCH_SIZE: i64 = 1000;

/// Deletes events that are older than `NVISY_EVENT_DAYS`.
pub(super) async fn delete_expired(cx: &Context) -> store::Result<()> {
    let retention = Duration::from_secs(cx.config.event.days * 24 * 3600);
    for workspace in store::event::workspaces_with_expired(&cx.db, retention).await? {
        while store::event::delete_expired(&cx.db, workspace, retention, BATCH_SIZE).await? == BATCH_SIZE as u64 {}
    }
    Ok(())
}
