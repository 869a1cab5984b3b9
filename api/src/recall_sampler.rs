//! Measures the recall of a sample of the searches by vector, behind their responses.

use std::{sync::Arc, time::Duration};

use nvisy_shared::{
    crypt,
    id::WorkspaceId,
    lifecycle::Lifecycle,
    platform::Platform,
    store::{
        Db,
        search::{SearchMode, SearchQuery, measure_recall, selectivity},
    },
    telemetry::metrics::metrics,
};
use tokio::sync::Semaphore;

/// Longest measurement; PostgreSQL ends its statements then.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Measures one search at a time, and none while requests need the database.
#[derive(Debug)]
pub struct RecallSampler {
    /// The share of the searches to measure, 0 to 1.
    share: f64,
    permit: Arc<Semaphore>,
}

impl RecallSampler {
    pub fn new(share: f64) -> Self {
        Self { share, permit: Arc::new(Semaphore::new(1)) }
    }

    /// Measures a search in the background if it is drawn; `query` has its vectors.
    pub fn sample(&self, platform: &Platform, lifecycle: &Lifecycle, workspace: WorkspaceId, query: &SearchQuery) {
        let is_of_now = query.visibility.past().is_none();
        if query.mode == SearchMode::Text || !is_of_now || !is_drawn(self.share, u32::from_le_bytes(crypt::random())) {
            return;
        }
        let permit = Arc::clone(&self.permit).try_acquire_owned();
        let (Ok(permit), false) = (permit, is_busy(platform)) else { return metrics().search_recall_dropped("busy") };
        let (db, query, soft) = (platform.db.clone(), query.clone(), lifecycle.soft().clone());
        lifecycle.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = measure(&db, workspace, &query) => {}
                () = soft.cancelled() => {}
            }
        });
    }
}

/// Whether requests use half of the connections.
fn is_busy(platform: &Platform) -> bool {
    let (used, _) = platform.db.usage();
    2 * used > u64::from(platform.config.database.connections)
}

/// Whether an evenly distributed number draws a share of all cases.
fn is_drawn(share: f64, number: u32) -> bool {
    f64::from(number) < share * (f64::from(u32::MAX) + 1.0)
}

async fn measure(db: &Db, workspace: WorkspaceId, query: &SearchQuery) {
    match tokio::time::timeout(TIME_LIMIT, measure_recall(db, workspace, query, TIME_LIMIT)).await {
        Ok(Ok(Some(sample))) => metrics().search_recall(selectivity(sample.matching), sample.recall),
        // Nothing matches.
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the recall of a search was not measured");
            metrics().search_recall_dropped("failed");
        }
        Err(_) => metrics().search_recall_dropped("slow"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_of_zero_draws_nothing_and_share_of_one_everything() {
        for number in [0, 1, u32::MAX / 2, u32::MAX] {
            assert!(!is_drawn(0.0, number) && is_drawn(1.0, number));
        }
        assert!(is_drawn(0.5, u32::MAX / 2) && !is_drawn(0.5, u32::MAX / 2 + 1));
    }
}
