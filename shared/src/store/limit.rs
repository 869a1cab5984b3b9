//! Buckets of requests that all replicas draw from. A replica takes several requests' worth at once.

use std::time::Duration;

use sea_orm::FromQueryResult;

use super::{Conn, Result, sql};

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Most it holds; what a new one holds.
    pub capacity: u32,
    /// What flows in.
    pub per_second: f64,
}

/// What was taken from a bucket, and what was left in it.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Grant {
    /// Whole requests; 0 where less than one was there.
    pub granted: i32,
    /// What is there now, less than one included.
    pub tokens: f64,
}

/// Takes up to `wanted` from the bucket of this key, in one statement; time is the database's own.
pub async fn take(conn: &impl Conn, key: &[u8], rate: Rate, wanted: u32) -> Result<Grant> {
    let grant = sql::first(
        conn,
        "insert into request_limit as held (key, tokens, granted, at)
         values ($1, $2 - least($2, $4), least($2, $4), now())
         on conflict (key) do update set
             granted = least($4, floor(least($2, held.tokens + $3 * greatest(0, extract(epoch from now() - held.at))))),
             tokens = least($2, held.tokens + $3 * greatest(0, extract(epoch from now() - held.at)))
                 - least($4, floor(least($2, held.tokens + $3 * greatest(0, extract(epoch from now() - held.at))))),
             at = greatest(held.at, now())
         returning granted, tokens",
        [key.to_vec().into(), f64::from(rate.capacity).into(), rate.per_second.into(), f64::from(wanted).into()],
    )
    .await?;
    grant.ok_or_else(|| super::Error::Custom("an upsert returned nothing".to_owned()))
}

/// Gives one back that was taken from the bucket of this key.
pub async fn give_back(conn: &impl Conn, key: &[u8], rate: Rate) -> Result<()> {
    sql::execute(
        conn,
        "update request_limit set tokens = least($2, tokens + 1) where key = $1",
        [key.to_vec().into(), f64::from(rate.capacity).into()],
    )
    .await?;
    Ok(())
}

/// Forgets buckets that nobody has drawn from for `age`: they are full again.
pub async fn forget_older_than(conn: &impl Conn, age: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from request_limit where at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
