//! How many streams an account has open here: each costs statements for as long as it lasts, and a request only once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nvisy_shared::id::AccountId;

use crate::problem::{Code, Problem};

/// When a client that has too many may try again, in seconds.
const RETRY: u32 = 5;

/// Streams by account. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StreamLimit(Arc<Mutex<HashMap<AccountId, u32>>>);

/// A stream that is counted until this is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    open: StreamLimit,
    account: AccountId,
}

impl StreamLimit {
    /// Counts one more stream; 429 where there are `most` already. 0 is any number.
    pub fn count(&self, account: AccountId, most: u32) -> Result<StreamPermit, Problem> {
        let mut streams = self.lock();
        let there = streams.entry(account).or_default();
        if most != 0 && *there >= most {
            return Err(Problem::new(Code::TooManyRequests).detail("too many open streams").retry_in(RETRY));
        }
        *there += 1;
        Ok(StreamPermit { open: self.clone(), account })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut streams = self.open.lock();
        if let Some(there) = streams.get_mut(&self.account) {
            *there -= 1;
            if *there == 0 {
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
        let open = StreamLimit::default();
        let [ada, bob] = [AccountId::new(), AccountId::new()];
        let first = open.count(ada, 2).unwrap();
        let second = open.count(ada, 2).unwrap();
        assert!(open.count(ada, 2).is_err());
        assert!(open.count(bob, 2).is_ok());
        drop(first);
        let third = open.count(ada, 2).unwrap();
        assert!(open.count(ada, 0).is_ok());
        drop((second, third));
        assert!(open.lock().is_empty());
    }
}
