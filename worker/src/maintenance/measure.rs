//! Measuring the backlog and the connection pool, which no request measures.

use std::time::Duration;

use nvisy_shared::{domain::job::Lane, store, telemetry::metrics::metrics};

use crate::context::Context;

/// Records the backlog of every lane, the lag of the outbox, and the use of the pool.
pub(super) async fn backlog(cx: &Context) -> store::Result<()> {
    let backlog = store::job::backlog(&cx.db).await?;
    for lane in [Lane::Extract, Lane::Model, Lane::Source, Lane::Mail] {
        let found = backlog.iter().find(|backlog| backlog.lane == lane);
        let count =
            |of: fn(&store::job::Backlog) -> i64| found.map_or(0, |found| u64::try_from(of(found)).unwrap_or(0));
        metrics().job_backlog(lane.name(), "waiting", count(|backlog| backlog.waiting));
        metrics().job_backlog(lane.name(), "queued", count(|backlog| backlog.queued));
        metrics().job_backlog(lane.name(), "running", count(|backlog| backlog.running));
        metrics().job_oldest(lane.name(), seconds(found.map_or(0.0, |found| found.oldest_seconds)));
    }
    metrics().outbox_lag(seconds(store::event::unpublished_age_seconds(&cx.db).await?));
    let (used, idle) = cx.db.usage();
    metrics().pool_connections(used, idle);
    Ok(())
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
