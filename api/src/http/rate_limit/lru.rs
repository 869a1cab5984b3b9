//! The buckets that this process knows.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use hashlink::LruCache;

use super::{Key, bucket::Bucket};

/// Most of them, about 30 MB. The one that was not asked for longest makes room: what the shared bucket counts stays
/// counted, and only what was taken of it in advance is lost. Where this process counts alone, whoever pushes a bucket
/// out has to name so many others before each further try.
const MOST: usize = 100_000;

/// In the order in which they were last asked for.
#[derive(Debug)]
pub struct Buckets {
    known: Mutex<LruCache<Key, Arc<Bucket>>>,
}

impl Buckets {
    pub fn new() -> Self {
        Self::of(MOST)
    }

    fn of(most: usize) -> Self {
        Self { known: Mutex::new(LruCache::new(most)) }
    }

    /// The bucket, if there is one already.
    pub fn known(&self, key: &Key) -> Option<Arc<Bucket>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn get(&self, key: Key) -> Arc<Bucket> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.get(&key) {
            return bucket.clone();
        }
        // Two go for each that comes, if they say nothing any more: they never pile up, and nothing looks at all of them.
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

    use nvisy_shared::store::limit::{Grant, Rate};

    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [0; 17];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn count(buckets: &Buckets) -> usize {
        buckets.known.lock().unwrap().len()
    }

    #[test]
    fn however_many_names_there_are_so_many_are_remembered() {
        let buckets = Buckets::of(100);
        let busy = buckets.get(key(0));
        for number in 1..10_000 {
            buckets.get(key(number));
            if number % 50 == 0 {
                assert!(Arc::ptr_eq(&busy, &buckets.get(key(0))), "whoever keeps asking is not forgotten");
            }
        }
        assert_eq!(count(&buckets), 100);
    }

    #[test]
    fn what_says_nothing_any_more_makes_room_by_itself() {
        let buckets = Buckets::of(100);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        for number in 0..50 {
            let stale = Arc::new(Bucket::new(long_ago));
            buckets.known.lock().unwrap().insert(key(number), stale);
        }
        // It is older, and says that there is nothing to be had.
        let empty = buckets.get(key(50));
        empty.grant(Instant::now(), Grant { granted: 0, tokens: 0.0 }, Rate { capacity: 1, per_second: 0.001 });
        for number in 100..130 {
            buckets.get(key(number));
        }
        assert_eq!(count(&buckets), 31);
        assert!(Arc::ptr_eq(&empty, &buckets.get(key(50))));
    }
}
