//! When API tokens were last used: collected in memory, written in batches, so that reading costs no write.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use nvisy_shared::{clock, id::TokenId, lifecycle::Lifecycle, store, store::Db};

/// How often the times are written; what a crash loses.
const PERIOD: Duration = Duration::from_secs(5);

/// Times that are not written yet. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastUsed(Arc<Mutex<HashMap<TokenId, DateTime<Utc>>>>);

impl LastUsed {
    /// Notes that a token is used now.
    pub(super) fn note(&self, token: TokenId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, clock::now());
    }

    /// Writes what was noted, again and again, until the soft stop and once more after it.
    pub(crate) async fn run(self, db: Db, lifecycle: Lifecycle) {
        loop {
            let stopping = tokio::select! {
                () = lifecycle.soft().cancelled() => true,
                () = tokio::time::sleep(PERIOD) => false,
            };
            self.write(&db).await;
            if stopping {
                return;
            }
        }
    }

    async fn write(&self, db: &Db) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return;
        }
        let uses: Vec<_> = noted.into_iter().collect();
        if let Err(error) = store::api_token::mark_used(db, &uses).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "when tokens were last used could not be written, the next batch is tried");
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (token, time) in uses {
                kept.entry(token).or_insert(time);
            }
        }
    }
}
