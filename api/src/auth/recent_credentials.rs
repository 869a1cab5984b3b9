//! Credentials that were good a short while ago. Where somebody tries out others from the same network until no more may
//! be tried, these go on: they are asked about as always, the others not any more.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::HttpRequest;
use hashlink::LruCache;
use nvisy_shared::store::{self, credential::Credential};

use super::bearer;
use crate::{
    http::{client_info::Origin, rate_limit},
    problem::Problem,
};

/// How long ago.
const LATELY: Duration = Duration::from_secs(600);
/// Credentials that are remembered, about 1 MB; the one that was not used for longest makes room.
const KNOWN: usize = 10_000;

/// Only what was good is remembered: nobody fills the memory with nonsense.
pub struct Familiar(Mutex<LruCache<[u8; 32], Instant>>);

impl Familiar {
    pub fn new() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN)))
    }

    fn knows(&self, credential: &Credential, now: Instant) -> bool {
        self.lock().get(&name(credential)).is_some_and(|seen| now.duration_since(*seen) < LATELY)
    }

    fn note(&self, credential: &Credential, now: Instant) {
        self.lock().insert(name(credential), now);
    }

    fn forget(&self, credential: &Credential) {
        self.lock().remove(&name(credential));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash, or the ids of account and session.
fn name(credential: &Credential) -> [u8; 32] {
    match credential {
        Credential::Token(hash) => *hash,
        Credential::Session { account, session } => {
            let mut name = [0; 32];
            name[..16].copy_from_slice(account.0.as_bytes());
            name[16..].copy_from_slice(session.0.as_bytes());
            name
        }
    }
}

/// What `asking` finds behind a credential; 401 where it is nobody's, and 429 without asking where the network has
/// presented too many of those.
pub async fn found<T>(
    request: &HttpRequest,
    credential: &Credential,
    asking: impl Future<Output = store::Result<Option<T>>>,
) -> Result<T, Problem> {
    let state = bearer::state(request);
    let found = if state.familiar.knows(credential, Instant::now()) {
        asking.await?
    } else {
        rate_limit::credential(state, &Origin::of(request), asking).await?
    };
    match &found {
        Some(_) => state.familiar.note(credential, Instant::now()),
        // Once it was good: from now on it counts like any other.
        None => state.familiar.forget(credential),
    }
    found.ok_or_else(bearer::unauthenticated)
}

#[cfg(test)]
mod tests {
    use nvisy_shared::id::{AccountId, SessionId};

    use super::*;

    #[test]
    fn what_was_good_is_known_for_a_while_and_what_was_refused_is_not() {
        let familiar = Familiar::new();
        let now = Instant::now();
        let (account, session) = (AccountId::new(), SessionId::new());
        let [here, elsewhere] = [session, SessionId::new()].map(|session| Credential::Session { account, session });
        let token = Credential::Token([7; 32]);
        for credential in [&here, &token] {
            assert!(!familiar.knows(credential, now));
            familiar.note(credential, now);
            assert!(familiar.knows(credential, now + LATELY / 2));
            assert!(!familiar.knows(credential, now + LATELY));
        }
        assert!(!familiar.knows(&elsewhere, now));
        familiar.forget(&token);
        assert!(!familiar.knows(&token, now) && familiar.knows(&here, now));
    }
}
