//! Counting searches without a write for each: collected here, written together every few seconds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::web::Data;
use chrono::NaiveDate;
use nvisy_shared::{clock, id::WorkspaceId, store};

use crate::state::State;

/// How long a search may go uncounted; what a killed process has not written is not counted at all.
const EVERY: Duration = Duration::from_secs(5);

/// Searches since they were last written, by workspace and day.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<(WorkspaceId, NaiveDate), i64>>);

impl Tally {
    /// Counts one search.
    pub fn searched(&self, workspace: WorkspaceId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((workspace, clock::now().date_naive())).or_default() += 1;
    }

    fn take(&self) -> HashMap<(WorkspaceId, NaiveDate), i64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, counts: HashMap<(WorkspaceId, NaiveDate), i64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (of, count) in counts {
            *all.entry(of).or_default() += count;
        }
    }
}

/// Writes what was counted, every few seconds and once more at the end.
pub async fn write_down(state: Data<State>) {
    loop {
        let last = state.closing.pause(EVERY).await;
        let counts = state.tally.take();
        if !counts.is_empty() {
            let searches: Vec<_> = counts.iter().map(|((workspace, day), count)| (*workspace, *day, *count)).collect();
            if let Err(error) = store::usage::add_searches(&state.platform.db, &searches).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "searches are counted later");
                state.tally.give_back(counts);
            }
        }
        if last {
            return;
        }
    }
}
