//! The embedding spaces that this worker serves, which it tells the other processes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nvisy_shared::{
    id::SpaceId,
    lifecycle::Lifecycle,
    store::{self, job_space},
};
use tokio::time::MissedTickBehavior;

use crate::context::Context;

/// Longest wait for the database when a worker stops. Others learn it from the silence, too.
const UNREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

/// Registers this worker with its spaces three times per lease, and knows whether it has to look for jobs of them.
#[derive(Clone, Debug)]
pub struct ServedSpaces {
    holder: Arc<str>,
    taken: Arc<Mutex<Arc<[SpaceId]>>>,
}

impl ServedSpaces {
    /// Of the worker with this name, which is not registered yet.
    #[must_use]
    pub fn new(holder: &str) -> Self {
        Self { holder: holder.into(), taken: Arc::new(Mutex::new(Arc::from([]))) }
    }

    /// The spaces whose jobs this worker takes from their rows; none while all workers serve the same spaces.
    pub(super) fn taken(&self) -> Arc<[SpaceId]> {
        Arc::clone(&self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers the worker until the soft stop.
    pub async fn run(self, cx: Context, lifecycle: Lifecycle) {
        let mut ticks = tokio::time::interval(cx.lease() / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut registered = None;
        while lifecycle.soft().run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.register(&cx, &mut registered).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the spaces of the worker cannot be registered"
                );
            }
        }
        let unregistered = job_space::unregister(&cx.db, &self.holder);
        let _ = tokio::time::timeout(UNREGISTER_TIMEOUT, unregistered).await;
    }

    async fn register(&self, cx: &Context, registered: &mut Option<Vec<SpaceId>>) -> store::Result<()> {
        let (db, lease) = (&cx.db, cx.lease());
        let mut spaces = cx.spaces.served(db).await?;
        spaces.sort_unstable();
        job_space::register(db, &self.holder, &spaces, lease).await?;
        // Only then: others of them may wait for a busy provider.
        if registered.as_ref() != Some(&spaces) {
            job_space::wake(db, &spaces).await?;
        }
        job_space::release_unserved(db, lease).await?;
        let is_taken = job_space::are_taken(db, &spaces, lease).await?;
        let taken: Arc<[SpaceId]> = if is_taken { spaces.as_slice().into() } else { Arc::from([]) };
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        *registered = Some(spaces);
        Ok(())
    }
}
