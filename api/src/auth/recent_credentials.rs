//! Credentials that were valid a short while ago. They stay usable while other credentials from the same network are rejected
//! unseen; each request still looks them up in the database.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hashlink::LruCache;
use nvisy_shared::store::credential::Credential;

/// How long a valid credential is remembered.
const VALIDITY: Duration = Duration::from_secs(600);
/// About 1 MB; the least recently used credential is evicted.
const CACHE_CAPACITY: usize = 10_000;

/// Holds valid credentials only: invalid ones cannot fill the cache.
pub struct RecentCredentials(Mutex<LruCache<[u8; 32], Instant>>);

impl RecentCredentials {
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHE_CAPACITY)))
    }

    pub fn contains(&self, credential: &Credential, now: Instant) -> bool {
        self.lock().get(&cache_key(credential)).is_some_and(|seen| now.duration_since(*seen) < VALIDITY)
    }

    pub fn insert(&self, credential: &Credential, now: Instant) {
        self.lock().insert(cache_key(credential), now);
    }

    pub fn remove(&self, credential: &Credential) {
        self.lock().remove(&cache_key(credential));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash, or the ids of account and session.
fn cache_key(credential: &Credential) -> [u8; 32] {
    match credential {
        Credential::Token(hash) => *hash,
        Credential::Session { account, session } => {
            let mut key = [0; 32];
            key[..16].copy_from_slice(account.0.as_bytes());
            key[16..].copy_from_slice(session.0.as_bytes());
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use nvisy_shared::id::{AccountId, SessionId};

    use super::*;

    #[test]
    fn valid_credential_is_remembered_until_it_expires_or_is_removed() {
        let recent = RecentCredentials::new();
        let now = Instant::now();
        let (account, session) = (AccountId::new(), SessionId::new());
        let [here, elsewhere] = [session, SessionId::new()].map(|session| Credential::Session { account, session });
        let token = Credential::Token([7; 32]);
        for credential in [&here, &token] {
            assert!(!recent.contains(credential, now));
            recent.insert(credential, now);
            assert!(recent.contains(credential, now + VALIDITY / 2));
            assert!(!recent.contains(credential, now + VALIDITY));
        }
        assert!(!recent.contains(&elsewhere, now));
        recent.remove(&token);
        assert!(!recent.contains(&token, now) && recent.contains(&here, now));
    }
}
