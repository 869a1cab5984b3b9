//! Token buckets that all replicas share. A replica takes tokens for several requests with one statement.

use std::time::Duration;

use sea_orm::{FromQueryResult, raw_sql};

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
    let (capacity, per_second, requested) = (f64::from(rate.capacity), rate.per_second, f64::from(requested));
    let take = raw_sql!(
        Postgres,
        "insert into rate_limit_bucket as bucket (key, tokens, granted, at)
         values ({key}, {capacity}::float8 - least({capacity}::float8, {requested}), least({capacity}::float8, {requested}), now())
         on conflict (key) do update set
             granted = least({requested}, floor(least({capacity}, bucket.tokens
                 + {per_second} * greatest(0, extract(epoch from now() - bucket.at))))),
             tokens = least({capacity}, bucket.tokens + {per_second} * greatest(0, extract(epoch from now() - bucket.at)))
                 - least({requested}, floor(least({capacity}, bucket.tokens
                     + {per_second} * greatest(0, extract(epoch from now() - bucket.at))))),
             at = greatest(bucket.at, now())
         returning granted, tokens"
    );
    let grant = sql::first(conn, take).await?;
    grant.ok_or_else(|| super::Error::Custom("an upsert returned nothing".to_owned()))
}

/// Returns one token to the bucket of this key.
pub async fn refund(conn: &impl Conn, key: &[u8], rate: Rate) -> Result<()> {
    let capacity = f64::from(rate.capacity);
    let refunded =
        raw_sql!(Postgres, "update rate_limit_bucket set tokens = least({capacity}, tokens + 1) where key = {key}");
    sql::execute(conn, refunded).await?;
    Ok(())
}

/// Deletes buckets that were not used for `age`: they are full again.
pub async fn delete_idle(conn: &impl Conn, age: Duration) -> Result<u64> {
    let age_seconds = age.as_secs_f64();
    let idle =
        raw_sql!(Postgres, "delete from rate_limit_bucket where at < now() - make_interval(secs => {age_seconds})");
    sql::execute(conn, idle).await
}
