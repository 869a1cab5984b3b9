//! The worker's heartbeat: one statement renews the leases of all jobs that the worker holds.

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

/// The jobs that this worker holds. Renews their leases, and cancels a job whose lease went to another worker.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    holder: Arc<str>,
    held: Arc<Mutex<HashMap<(JobId, i32), CancellationToken>>>,
}

impl Heartbeats {
    /// A worker with a fresh name that holds no job.
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

    /// Renews the job's lease until the returned guard is dropped.
    pub(super) fn hold(&self, claim: &Claim) -> HeldJob {
        let lease_lost = CancellationToken::new();
        let key = (claim.id, claim.epoch);
        self.lock().insert(key, lease_lost.clone());
        HeldJob { heartbeats: self.clone(), key, lease_lost }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(JobId, i32), CancellationToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the leases three times per lease. After the soft stop it goes on until the last held job is finished.
    pub async fn run(self, db: Db, lease: Duration, lifecycle: Lifecycle) {
        let mut ticks = tokio::time::interval(lease / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let keys: Vec<_> = self.lock().keys().copied().collect();
            if keys.is_empty() {
                if lifecycle.soft().is_cancelled() {
                    return;
                }
                continue;
            }
            match store::job::heartbeat(&db, &keys).await {
                Ok(renewed) => {
                    for key in keys.iter().filter(|key| !renewed.contains(key)) {
                        if let Some(lease_lost) = self.lock().get(key) {
                            lease_lost.cancel();
                        }
                    }
                }
                // Writes are fenced, so the jobs may go on safely; another worker may claim them meanwhile.
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat failed"),
            }
        }
    }
}

/// A job whose lease this worker renews.
pub(super) struct HeldJob {
    heartbeats: Heartbeats,
    key: (JobId, i32),
    /// Cancelled when the lease went to another worker.
    pub(super) lease_lost: CancellationToken,
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        self.heartbeats.lock().remove(&self.key);
    }
}
