//! Holding an idempotency key while a long body arrives, without holding a connection.
//!
//! The transaction of the effect stays the authority; the lease only rejects a repetition early, before the client has
//! sent its body as well.

use std::{convert::Infallible, time::Duration};

use nvisy_shared::{
    id,
    store::{self, Db},
};
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// How long the key stays held after its process died.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// Holds the request's key, if it came with one.
#[derive(Debug)]
pub struct IdempotencyLease {
    db: Db,
    held: Option<HeldKey>,
}

#[derive(Debug)]
struct HeldKey {
    scope: String,
    key: String,
    holder: Uuid,
}

impl IdempotencyLease {
    /// Fails where another request holds the key.
    pub async fn acquire(db: &Db, scope: String, key: Option<&str>) -> Result<Self, Problem> {
        let held = key.map(|key| HeldKey { scope, key: key.to_owned(), holder: id::new() });
        let lease = Self { db: db.clone(), held };
        if lease.renew().await? { Ok(lease) } else { Err(Problem::new(Code::IdempotencyKeyInUse).retry_in(1)) }
    }

    /// Holds the key while `work` runs, which must hold no connection.
    pub async fn hold_during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.keep_renewing() => match never {},
        }
    }

    /// Frees the key. A request that ends without this frees it when the lease expires.
    pub async fn release(self) {
        let Some(HeldKey { scope, key, holder }) = &self.held else { return };
        if let Err(error) = store::idempotency::release_lease(&self.db, scope, key, *holder).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "an idempotency key stays held until its lease expires");
        }
    }

    async fn keep_renewing(&self) -> Infallible {
        loop {
            tokio::time::sleep(LEASE_DURATION / 3).await;
            if let Err(error) = self.renew().await {
                tracing::warn!(?error, "the lease of an idempotency key could not be renewed; the next attempt may");
            }
        }
    }

    async fn renew(&self) -> Result<bool, store::Error> {
        let Some(HeldKey { scope, key, holder }) = &self.held else { return Ok(true) };
        store::idempotency::acquire_lease(&self.db, scope, key, *holder, LEASE_DURATION).await
    }
}
