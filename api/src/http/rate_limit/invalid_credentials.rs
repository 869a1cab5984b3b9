//! Limiting invalid credentials by network. The format of API tokens is public, so anyone can make some that only the
//! database can distinguish from valid ones.

use std::time::Instant;

use nvisy_shared::store;

use super::{Exhausted, LimitKind, RateLimiter, hash};
use crate::{http::client_info::ClientInfo, problem::Problem};

impl RateLimiter {
    /// Runs `lookup` for a credential that this process has not seen to be valid; 429 without running it where too many
    /// invalid ones came from the client's network.
    ///
    /// Valid credentials cost nothing. Only while the bucket was recently exhausted a token is taken before the lookup, so
    /// that of many concurrent requests no more reach the database than the limit allows.
    pub async fn limit_invalid<T>(
        &self,
        client: &ClientInfo,
        lookup: impl Future<Output = store::Result<Option<T>>>,
    ) -> Result<Option<T>, Problem> {
        let Some((rate, key)) = self.rate_and_key(LimitKind::InvalidCredentials, hash(&[&client.network().octets()]))
        else {
            return Ok(lookup.await?);
        };
        if self.buckets.known(&key).is_some_and(|bucket| bucket.recently_exhausted(Instant::now())) {
            let permit = self.draw(LimitKind::InvalidCredentials, key, rate).await.map_err(Exhausted::problem)?;
            let found = lookup.await?;
            if let Some(permit) = permit.filter(|_| found.is_some()) {
                permit.refund(&self.db).await;
            }
            return Ok(found);
        }
        let found = lookup.await?;
        if found.is_none() {
            // This request has had its lookup; an empty bucket rejects the next one.
            let _ = self.draw(LimitKind::InvalidCredentials, key, rate).await;
        }
        Ok(found)
    }
}
