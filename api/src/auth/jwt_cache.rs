//! Access tokens with a verified signature. Verifying one costs about as much as everything else that a read does, and a
//! client sends the same token for minutes.
//!
//! Only the signature is cached: each request checks the clock, and reads session and account from the database.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use jwt_simple::prelude::UnixTimeStamp;
use nvisy_shared::id::{AccountId, SessionId};
use sha2::{Digest, Sha256};

/// About 2 MB; the least recently used token is evicted.
const CACHE_CAPACITY: usize = 10_000;

/// The claims of a token that these keys signed for this deployment.
#[derive(Clone, Copy, Debug)]
pub struct Claims {
    pub account: AccountId,
    pub session: SessionId,
    /// Not valid before.
    pub not_before: UnixTimeStamp,
    /// Not valid after.
    pub expires_at: UnixTimeStamp,
}

/// Keyed by the tokens' hashes, so that no credential stays in memory.
pub struct JwtCache(Mutex<LruCache<[u8; 32], Claims>>);

impl JwtCache {
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHE_CAPACITY)))
    }

    /// The claims of the token; `verify` decodes them and verifies the signature. An invalid token is not cached: it cannot
    /// fill the memory.
    pub fn get_or_verify(&self, token: &str, verify: impl FnOnce() -> Option<Claims>) -> Option<Claims> {
        let hash = Sha256::digest(token).into();
        // The lock is not held while a signature is verified.
        let cached = self.lock().get(&hash).copied();
        cached.or_else(|| {
            let claims = verify()?;
            self.lock().insert(hash, claims);
            Some(claims)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], Claims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
