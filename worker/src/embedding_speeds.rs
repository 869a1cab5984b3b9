//! How fast this worker embeds: collected in memory, and added to the database every few seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nvisy_shared::{
    id::SpaceId,
    lifecycle::Lifecycle,
    store::{self, Db},
};

/// How often measurements are added to the database.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// The tokens and the time of the calls of each space since the last flush; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingSpeeds(Arc<Mutex<HashMap<SpaceId, (f64, Duration)>>>);

impl EmbeddingSpeeds {
    /// Adds the calls of a job.
    pub(crate) fn add(&self, space: SpaceId, tokens: u64, took: Duration) {
        if tokens == 0 {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sum, time) = all.entry(space).or_default();
        *sum += tokens as f64;
        *time += took;
    }

    /// Flushes until the soft stop. Measurements that the database does not take are lost.
    pub async fn run(self, db: Db, lifecycle: Lifecycle) {
        let mut stopping = false;
        while !stopping {
            let wait = tokio::time::sleep(FLUSH_INTERVAL);
            stopping = lifecycle.soft().run_until_cancelled(wait).await.is_none();
            let measured = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            for (space, (tokens, took)) in measured {
                if let Err(error) = store::embedding_speed::add(&db, space, tokens, took).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a speed of embedding cannot be stored");
                }
            }
        }
    }
}
