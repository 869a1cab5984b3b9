//! The buckets that this process knows, up to a fixed number.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use hashlink::LruCache;

use super::{BucketKey, bucket::Bucket};

/// About 30 MB. The least recently used bucket is evicted: the shared bucket keeps its count, and only leased tokens are
/// lost. While this process counts by itself, a client that wants its bucket evicted has to name this many others before
/// each further attempt.
const CACHE_CAPACITY: usize = 100_000;

/// In the order of their last use.
#[derive(Debug)]
pub struct BucketCache {
    known: Mutex<LruCache<BucketKey, Arc<Bucket>>>,
}

impl BucketCache {
    pub fn new() -> Self {
        Self::with_capacity(CACHE_CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self { known: Mutex::new(LruCache::new(capacity)) }
    }

    /// The bucket, if it is in the cache.
    pub fn known(&self, key: &BucketKey) -> Option<Arc<Bucket>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn get(&self, key: BucketKey) -> Arc<Bucket> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.get(&key) {
            return bucket.clone();
        }
        // Each insertion evicts up to two stale buckets: they never pile up, and no scan over all of them is needed.
        for _ in 0..2 {
            if known.iter().next().is_some_and(|(_, oldest)| oldest.is_stale(now)) {
                known.remove_lru();
            }
        }
        let bucket = Arc::new(Bucket::new(now));
        known.insert(key, bucket.clone());
        bucket
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nvisy_shared::store::rate_limit::{Grant, Rate};

    use super::*;

    fn key(number: u32) -> BucketKey {
        let mut key = [0; 17];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn count(buckets: &BucketCache) -> usize {
        buckets.known.lock().unwrap().len()
    }

    #[test]
    fn cache_holds_at_most_its_capacity_and_keeps_buckets_in_use() {
        let buckets = BucketCache::with_capacity(100);
        let busy = buckets.get(key(0));
        for number in 1..10_000 {
            buckets.get(key(number));
            if number % 50 == 0 {
                assert!(Arc::ptr_eq(&busy, &buckets.get(key(0))), "a bucket in use is not evicted");
            }
        }
        assert_eq!(count(&buckets), 100);
    }

    #[test]
    fn stale_buckets_are_evicted_before_the_cache_is_full() {
        let buckets = BucketCache::with_capacity(100);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        for number in 0..50 {
            let stale = Arc::new(Bucket::new(long_ago));
            buckets.known.lock().unwrap().insert(key(number), stale);
        }
        // Older, but it still knows that the shared bucket is empty.
        let empty = buckets.get(key(50));
        empty.grant(Instant::now(), Grant { granted: 0, tokens: 0.0 }, Rate { capacity: 1, per_second: 0.001 });
        for number in 100..130 {
            buckets.get(key(number));
        }
        assert_eq!(count(&buckets), 31);
        assert!(Arc::ptr_eq(&empty, &buckets.get(key(50))));
    }
}
