//! Credentials that are nobody's. Their form is public, so anybody can make some that only the database can tell from good
//! ones.

use std::time::Instant;

use nvisy_shared::store;

use super::{Empty, Kind, hash};
use crate::{http::client_info::Origin, problem::Problem, state::State};

/// What `asking` finds behind a credential that this process does not know to be good; refused without asking where too
/// many came from there that were nobody's.
///
/// Good ones cost nothing. Only where the bucket was found empty a moment ago one is taken before the question: of however
/// many come side by side, no more are asked about than may be.
pub async fn credential<T>(
    state: &State,
    origin: &Origin,
    asking: impl Future<Output = store::Result<Option<T>>>,
) -> Result<Option<T>, Problem> {
    let (limits, db) = (&state.limits, &state.platform.db);
    let Some((rate, key)) = limits.rate_and_key(Kind::Refused, hash(&[&origin.network().octets()])) else {
        return Ok(asking.await?);
    };
    if limits.buckets.known(&key).is_some_and(|bucket| bucket.is_watched(Instant::now())) {
        let taken = limits.draw(db, Kind::Refused, key, rate).await.map_err(Empty::problem)?;
        let found = asking.await?;
        if let Some(taken) = taken.filter(|_| found.is_some()) {
            taken.give_back(db).await;
        }
        return Ok(found);
    }
    let found = asking.await?;
    if found.is_none() {
        // Whether it was one too many, the next one is told.
        let _ = limits.draw(db, Kind::Refused, key, rate).await;
    }
    Ok(found)
}
