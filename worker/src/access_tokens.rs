//! Access tokens of connections, which a worker keeps in memory alone until shortly before they expire.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use nvisy_shared::{id::ConnectionId, secret::Secret};

/// Tokens of so many connections are kept.
const MAX_TOKENS: usize = 10_000;

/// The connection, and a hash of the credentials that a token was asked for with: other credentials have other tokens.
pub(crate) type TokenKey = (ConnectionId, [u8; 32]);

/// The access tokens of a worker; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AccessTokens(Arc<Mutex<HashMap<TokenKey, Kept>>>);

#[derive(Debug)]
struct Kept {
    token: Arc<Secret<String>>,
    until: Instant,
}

impl AccessTokens {
    /// A token that has not expired.
    pub(crate) fn find(&self, key: &TokenKey) -> Option<Arc<Secret<String>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| kept.until > Instant::now()).map(|kept| Arc::clone(&kept.token))
    }

    /// Keeps a token for some time, if there is room.
    pub(crate) fn keep(&self, key: TokenKey, token: &Arc<Secret<String>>, until: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_TOKENS {
            let now = Instant::now();
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() < MAX_TOKENS {
            kept.insert(key, Kept { token: Arc::clone(token), until });
        }
    }

    /// Forgets a token, which was revoked.
    pub(crate) fn forget(&self, key: &TokenKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
