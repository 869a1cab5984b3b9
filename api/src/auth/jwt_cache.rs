//! Access tokens whose signature was found good before. Checking one costs about as much as everything else that a read
//! does, and a client sends the same token for minutes.
//!
//! What changes is asked each time: the clock here, session and account in the database.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use jwt_simple::prelude::UnixTimeStamp;
use nvisy_shared::id::{AccountId, SessionId};
use sha2::{Digest, Sha256};

/// Tokens that are remembered, about 2 MB; the one that was not used for longest makes room.
const KNOWN: usize = 10_000;

/// What a token says that these keys signed for this deployment.
#[derive(Clone, Copy, Debug)]
pub struct Claims {
    pub account: AccountId,
    pub session: SessionId,
    /// Not good before.
    pub from: UnixTimeStamp,
    /// Not good after.
    pub until: UnixTimeStamp,
}

/// By the tokens' hashes: the memory of a process is no place for credentials.
pub struct Verified(Mutex<LruCache<[u8; 32], Claims>>);

impl Verified {
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN)))
    }

    /// What the token says; `check` finds it out, and whether the signature is good. What is not is not remembered, so
    /// that nobody can fill the memory with nonsense.
    pub fn claims(&self, token: &str, check: impl FnOnce() -> Option<Claims>) -> Option<Claims> {
        let hash = Sha256::digest(token).into();
        // Not held while a signature is checked: others go on.
        let known = self.lock().get(&hash).copied();
        known.or_else(|| {
            let claims = check()?;
            self.lock().insert(hash, claims);
            Some(claims)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], Claims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
