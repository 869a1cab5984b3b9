//! Holding an idempotency key while a long body arrives, without holding a connection.
//!
//! The transaction of the effect stays what decides; this only tells those who repeat a request too early, before they
//! have sent their body, too.

use std::{convert::Infallible, time::Duration};

use nvisy_shared::{
    id,
    store::{self, Db},
};
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// How long a key stays held by a process that died.
const LEASE: Duration = Duration::from_secs(15);

/// A key that this request holds, if it came with one.
#[derive(Debug)]
pub struct Claim {
    db: Db,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    scope: String,
    key: String,
    holder: Uuid,
}

impl Claim {
    /// Fails where another request holds the key.
    pub async fn new(db: &Db, scope: String, key: Option<&str>) -> Result<Self, Problem> {
        let held = key.map(|key| Held { scope, key: key.to_owned(), holder: id::new() });
        let claim = Self { db: db.clone(), held };
        if claim.renew().await? { Ok(claim) } else { Err(Problem::new(Code::IdempotencyKeyInUse).retry_in(1)) }
    }

    /// Holds the key while this goes on. The work must hold no connection.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.hold_on() => match never {},
        }
    }

    /// Frees the key. Where the request ends without, it is free after the lease.
    pub async fn release(self) {
        let Some(Held { scope, key, holder }) = &self.held else { return };
        if let Err(error) = store::idempotency::release(&self.db, scope, key, *holder).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key stays held for its lease");
        }
    }

    async fn hold_on(&self) -> Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            if let Err(error) = self.renew().await {
                tracing::warn!(?error, "an idempotency key could not be held on to, the next try may");
            }
        }
    }

    async fn renew(&self) -> Result<bool, store::Error> {
        let Some(Held { scope, key, holder }) = &self.held else { return Ok(true) };
        store::idempotency::claim(&self.db, scope, key, *holder, LEASE).await
    }
}
