//! Permits of searches to call a connection. Jobs have theirs in the database; a search is no job, so its limit holds in a worker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use nvisy_shared::id::ConnectionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections whose permits are kept; beyond it, those that no search uses are dropped.
const MAX_CONNECTIONS: usize = 1_000;

/// The permits of a worker; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SearchPermits(Arc<Mutex<HashMap<ConnectionId, Permits>>>);

#[derive(Debug)]
struct Permits {
    limit: u32,
    permits: Arc<Semaphore>,
}

impl SearchPermits {
    /// Waits until fewer than `limit` searches call a connection. Dropping the permit ends the call.
    pub(crate) async fn acquire(&self, connection: ConnectionId, limit: u32) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.of(connection, limit).acquire_owned().await.ok()
    }

    fn of(&self, connection: ConnectionId, limit: u32) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_CONNECTIONS {
            all.retain(|_, kept| Arc::strong_count(&kept.permits) > 1);
        }
        let new = || Permits { limit, permits: Arc::new(Semaphore::new(limit as usize)) };
        let kept = all.entry(connection).or_insert_with(new);
        if kept.limit != limit {
            // Searches in progress keep the old permits.
            *kept = new();
        }
        Arc::clone(&kept.permits)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn search_waits_for_another_one_at_the_limit_of_its_connection() {
        let (permits, connection) = (SearchPermits::default(), ConnectionId::new());
        let first = permits.acquire(connection, 1).await;
        let waits = tokio::time::timeout(Duration::from_millis(50), permits.acquire(connection, 1)).await;
        assert!(first.is_some() && waits.is_err());
        assert!(permits.acquire(ConnectionId::new(), 1).await.is_some(), "other connections have their own");
        assert!(permits.acquire(connection, 2).await.is_some(), "a new limit holds at once");
        let again = permits.acquire(connection, 1).await;
        drop(again);
        assert!(permits.acquire(connection, 1).await.is_some());
    }
}
