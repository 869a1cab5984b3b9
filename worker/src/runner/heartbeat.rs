//! The worker's heartbeat: one statement for all jobs it holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nvisy_shared::{
    id::{self, JobId},
    lifecycle::Lifecycle,
    store::{self, Db, job::Claim},
};
use tokio_util::sync::CancellationToken;

/// Knows the jobs at hand, keeps their claims alive, and cancels those that were given to others.
#[derive(Clone, Debug)]
pub struct Heart {
    holder: Arc<str>,
    held: Arc<Mutex<HashMap<(JobId, i32), CancellationToken>>>,
}

impl Heart {
    /// A worker with a name of its own, and nothing at hand.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each has another name")]
    pub fn new() -> Self {
        Self { holder: id::new().to_string().into(), held: Arc::default() }
    }

    /// The name under which this worker holds jobs.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Takes a job to heart until the guard is dropped.
    pub(super) fn watch(&self, claim: &Claim) -> Watched {
        let lost = CancellationToken::new();
        let key = (claim.id, claim.epoch);
        self.lock().insert(key, lost.clone());
        Watched { heart: self.clone(), key, lost }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(JobId, i32), CancellationToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Beats three times a lease until the process ends: also while a soft stop lets jobs finish.
    pub async fn beat(self, db: Db, lease: Duration, lifecycle: Lifecycle) {
        let mut ticks = tokio::time::interval(lease / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let before: Vec<_> = self.lock().keys().copied().collect();
            if before.is_empty() {
                if lifecycle.soft().is_cancelled() {
                    return;
                }
                continue;
            }
            match store::job::heartbeat(&db, &before).await {
                Ok(held) => {
                    for key in before.iter().filter(|key| !held.contains(key)) {
                        if let Some(lost) = self.lock().get(key) {
                            lost.cancel();
                        }
                    }
                }
                // Writes are fenced, so going on is safe; the claims may be taken over meanwhile.
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat failed"),
            }
        }
    }
}

/// A job at hand.
pub(super) struct Watched {
    heart: Heart,
    key: (JobId, i32),
    /// Cancelled when the job is in other hands.
    pub(super) lost: CancellationToken,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.heart.lock().remove(&self.key);
    }
}
