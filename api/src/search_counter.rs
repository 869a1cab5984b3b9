//! Counts searches by workspace and day, in batches.

use std::time::Duration;

use chrono::NaiveDate;
use nvisy_shared::{
    clock,
    id::WorkspaceId,
    store::{self, Db},
};

use crate::{http::write_behind::WriteBehind, shutdown::Shutdown};

/// A killed process loses the counts of this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Counts that are not written yet.
#[derive(Debug)]
pub struct SearchCounter(WriteBehind<(WorkspaceId, NaiveDate), i64>);

impl SearchCounter {
    pub fn new() -> Self {
        Self(WriteBehind::new(|sum, more| *sum += more))
    }

    /// Counts one search.
    pub fn count(&self, workspace: WorkspaceId) {
        self.0.add((workspace, clock::now().date_naive()), 1);
    }

    /// Writes the counts until the API has stopped.
    pub async fn flush_loop(&self, db: &Db, shutdown: &Shutdown) {
        let write = |counts: Vec<((WorkspaceId, NaiveDate), i64)>| async move {
            let searches: Vec<_> = counts.iter().map(|((workspace, day), count)| (*workspace, *day, *count)).collect();
            store::usage::add_searches(db, &searches).await
        };
        self.0.flush_loop(shutdown, FLUSH_INTERVAL, "counts of searches", write).await;
    }
}
