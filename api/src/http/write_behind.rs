//! Buffers that collect writes in memory, so that a request need not wait for one; a task writes them in batches.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nvisy_shared::store;

use crate::shutdown::Shutdown;

/// Values by key that are not written yet. A process that is killed loses them.
#[derive(Debug)]
pub struct WriteBehind<K, V> {
    buffer: Mutex<HashMap<K, V>>,
    merge: fn(&mut V, V),
}

impl<K: Clone + Eq + Hash, V: Clone> WriteBehind<K, V> {
    /// `merge` combines two values of one key, the later one given second. The order in which failed writes come back is
    /// not that of their requests, so it must not matter.
    pub fn new(merge: fn(&mut V, V)) -> Self {
        Self { buffer: Mutex::default(), merge }
    }

    pub fn add(&self, key: K, value: V) {
        match self.lock().entry(key) {
            Entry::Occupied(mut entry) => (self.merge)(entry.get_mut(), value),
            Entry::Vacant(entry) => drop(entry.insert(value)),
        }
    }

    /// The number of values that are not written yet.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Writes the buffer every `interval`, and once more after the last request. A failed write is tried again with the
    /// next one; `what` names it in the log.
    pub async fn flush_loop<F, W>(&self, shutdown: &Shutdown, interval: Duration, what: &str, write: F)
    where
        F: Fn(Vec<(K, V)>) -> W,
        W: Future<Output = store::Result<()>>,
    {
        loop {
            let is_last = shutdown.wait_or_stop(interval).await;
            let batch: Vec<(K, V)> = std::mem::take(&mut *self.lock()).into_iter().collect();
            if !batch.is_empty()
                && let Err(error) = write(batch.clone()).await
            {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, what, "a batch could not be written; the next one includes it");
                batch.into_iter().for_each(|(key, value)| self.add(key, value));
            }
            if is_last {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::ready};

    use nvisy_shared::lifecycle::Lifecycle;

    use super::*;

    #[actix_web::test]
    async fn failed_batch_is_merged_into_the_next() {
        let buffer = WriteBehind::new(|sum: &mut u32, more| *sum += more);
        let lifecycle = Lifecycle::new();
        let shutdown = Shutdown::new(&lifecycle);
        let written = RefCell::new(Vec::new());
        buffer.add("a", 1);
        // Each loop writes once.
        shutdown.requests_finished();
        let write = |batch: Vec<(&'static str, u32)>| {
            written.borrow_mut().extend(batch);
            buffer.add("a", 2);
            let is_first = written.borrow().len() == 1;
            ready(if is_first { Err(store::Error::Custom("rejected".to_owned())) } else { Ok(()) })
        };
        buffer.flush_loop(&shutdown, Duration::MAX, "numbers", write).await;
        buffer.flush_loop(&shutdown, Duration::MAX, "numbers", write).await;
        assert_eq!(*written.borrow(), [("a", 1), ("a", 3)]);
    }
}
