//! A probe that runs at most once per period, however many callers wait for its result.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Caches the last result for `max_age`; of concurrent callers, one runs the probe for all.
#[derive(Debug)]
pub struct CachedProbe<T> {
    last: Mutex<Option<(Instant, T)>>,
    max_age: Duration,
}

impl<T: Clone> CachedProbe<T> {
    pub fn new(max_age: Duration) -> Self {
        Self { last: Mutex::new(None), max_age }
    }

    pub async fn get(&self, probe: impl Future<Output = T>) -> T {
        let mut last = self.last.lock().await;
        if let Some((_, result)) = last.as_ref().filter(|(started, _)| started.elapsed() < self.max_age) {
            return result.clone();
        }
        // The result is as old as the start of its probe, which may have taken long.
        let started = Instant::now();
        let result = probe.await;
        *last = Some((started, result.clone()));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;

    use super::*;

    #[actix_web::test]
    async fn concurrent_callers_share_one_probe() {
        let (probe, runs) = (CachedProbe::new(Duration::from_secs(3600)), Cell::new(0));
        let results = join_all((0..100).map(|_| {
            probe.get(async {
                tokio::task::yield_now().await;
                runs.set(runs.get() + 1);
                runs.get()
            })
        }));
        assert_eq!(results.await, [1; 100]);
        assert_eq!(runs.get(), 1);
    }

    #[actix_web::test]
    async fn expired_result_is_not_reused() {
        let probe = CachedProbe::new(Duration::ZERO);
        assert_eq!(probe.get(async { 1 }).await, 1);
        assert_eq!(probe.get(async { 2 }).await, 2);
    }

    #[actix_web::test]
    async fn cancelled_caller_does_not_block_others() {
        let probe = CachedProbe::new(Duration::from_secs(3600));
        {
            let mut stuck = Box::pin(probe.get(std::future::pending()));
            assert!(futures::poll!(&mut stuck).is_pending());
        }
        assert_eq!(probe.get(async { 2 }).await, 2);
    }
}
