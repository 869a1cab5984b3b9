//! Measuring what nobody has at hand: the backlog and the pool.

use nvisy_shared::{store, telemetry::metrics};

use crate::context::Context;

/// Records the backlog of every lane and the outbox, and the use of the pool.
pub(super) async fn backlog(cx: &Context) -> store::Result<()> {
    let lanes = store::job::backlog(&cx.db).await?;
    metrics::backlog(&lanes);
    metrics::pool(&cx.db);
    Ok(())
}
