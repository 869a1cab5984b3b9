//! Token buckets that all replicas share. A replica takes tokens for several requests with one statement.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Result, sql};

/// The capacity and the refill rate of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Maximum number of tokens; a new bucket is full.
    pub capacity: u32,
    /// Tokens added per second.
    pub per_second: f64,
}

/// The result of taking tokens from a bucket.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Grant {
    /// Tokens that were taken; 0 if the bucket had less than one.
    pub granted: i32,
    /// Tokens that remain, including a fraction.
    pub tokens: f64,
}

/// Takes up to `requested` tokens from the bucket of this key, by the database's clock.
pub async fn take(conn: &impl Conn, key: &[u8], rate: Rate, requested: u32) -> Result<Grant> {
    let grant = sql::first(
        conn,
        "insert into rate_limit_bucket as bucket (key, tokens, granted, at)
         values ($1, $2 - least($2, $4), least($2, $4), now())
         on conflict (key) do update set
             granted = least($4, floor(least($2, bucket.tokens + $3 * greatest(0, extract(epoch from now() - bucket.at))))),
             tokens = least($2, bucket.tokens + $3 * greatest(0, extract(epoch from now() - bucket.at)))
                 - least($4, floor(least($2, bucket.tokens + $3 * greatest(0, extract(epoch from now() - bucket.at))))),
             at = greatest(bucket.at, now())
         returning granted, tokens",
        [key.to_vec().into(), f64::from(rate.capacity).into(), rate.per_second.into(), f64::from(requested).into()],
    )
    .await?;
    grant.ok_or_else(|| super::Error::Custom("an upsert returned nothing".to_owned()))
}

/// Returns one token to the bucket of this key.
pub async fn refund(conn: &impl Conn, key: &[u8], rate: Rate) -> Result<()> {
    sql::execute(
        conn,
        "update rate_limit_bucket set tokens = least($2, tokens + 1) where key = $1",
        [key.to_vec().into(), f64::from(rate.capacity).into()],
    )
    .await?;
    Ok(())
}

/// Deletes buckets that were not used for `age`: they are full again.
pub async fn delete_idle(conn: &impl Conn, age: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from rate_limit_bucket where at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
