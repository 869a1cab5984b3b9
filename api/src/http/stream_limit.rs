//! Limiting the open streams of an account at this process: a stream costs statements for as long as it lasts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nvisy_shared::id::AccountId;

use crate::problem::{Code, Problem};

const RETRY_AFTER_SECONDS: u32 = 5;

/// Open streams by account. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StreamLimit(Arc<Mutex<HashMap<AccountId, u32>>>);

/// Counts a stream until it is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    limit: StreamLimit,
    account: AccountId,
}

impl StreamLimit {
    /// Counts one more stream; 429 where `max_streams` are open already. 0: no limit.
    pub fn acquire(&self, account: AccountId, max_streams: u32) -> Result<StreamPermit, Problem> {
        let mut streams = self.lock();
        let open = streams.entry(account).or_default();
        if max_streams != 0 && *open >= max_streams {
            return Err(Problem::new(Code::TooManyRequests)
                .detail("too many open streams")
                .retry_in(RETRY_AFTER_SECONDS));
        }
        *open += 1;
        Ok(StreamPermit { limit: self.clone(), account })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut streams = self.limit.lock();
        if let Some(open) = streams.get_mut(&self.account) {
            *open -= 1;
            if *open == 0 {
                streams.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_permit_by_account_until_they_end() {
        let limit = StreamLimit::default();
        let [ada, bob] = [AccountId::new(), AccountId::new()];
        let first = limit.acquire(ada, 2).unwrap();
        let second = limit.acquire(ada, 2).unwrap();
        assert!(limit.acquire(ada, 2).is_err());
        assert!(limit.acquire(bob, 2).is_ok());
        drop(first);
        let third = limit.acquire(ada, 2).unwrap();
        assert!(limit.acquire(ada, 0).is_ok());
        drop((second, third));
        assert!(limit.lock().is_empty());
    }
}
