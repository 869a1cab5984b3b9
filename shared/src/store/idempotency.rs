//! Stored responses of requests with an `Idempotency-Key`.
//!
//! The transaction of a request's effect also stores the response, so that both exist or neither does. While that
//! transaction runs, an advisory lock holds the key, so a process that dies leaves nothing to clean up.

use std::time::Duration;

use sea_orm::FromQueryResult;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::entity::idempotency::Model;

/// Locks a key until the transaction ends. `false`: another transaction has locked it.
pub async fn try_lock(tx: &Tx, scope: &str, key: &str) -> Result<bool> {
    let held: Option<Row> = sql::first(
        tx,
        // A key contains no space, so different pairs never give the same text.
        "select pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0)) as held",
        [scope.into(), key.into()],
    )
    .await?;
    Ok(held.is_some_and(|row| row.held))
}

#[derive(FromQueryResult)]
struct Row {
    held: bool,
}

/// The response stored under a key within the retention time. Lock the key first, or another request may be about to store
/// one.
pub async fn find(tx: &Tx, scope: &str, key: &str, retention: Duration) -> Result<Option<Model>> {
    sql::first(
        tx,
        "select * from idempotency
         where scope = $1 and key = $2 and created_at > now() - make_interval(secs => $3)",
        [scope.into(), key.into(), retention.as_secs_f64().into()],
    )
    .await
}

/// Whether a response is stored under a key within the retention time.
pub async fn exists(conn: &impl Conn, scope: &str, key: &str, retention: Duration) -> Result<bool> {
    let found: Option<Row> = sql::first(
        conn,
        "select true as held from idempotency
         where scope = $1 and key = $2 and created_at > now() - make_interval(secs => $3)",
        [scope.into(), key.into(), retention.as_secs_f64().into()],
    )
    .await?;
    Ok(found.is_some())
}

/// Stores the response under a key that this transaction has locked; an expired one is replaced.
pub async fn insert(tx: &Tx, scope: &str, key: &str, fingerprint: &[u8; 32], status: u16, body: Json) -> Result<()> {
    sql::execute(
        tx,
        "insert into idempotency (scope, key, fingerprint, status, body) values ($1, $2, $3, $4, $5)
         on conflict (scope, key) do update
         set fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body, created_at = now()",
        [scope.into(), key.into(), fingerprint.to_vec().into(), i32::from(status).into(), body.into()],
    )
    .await?;
    Ok(())
}

/// Acquires or renews a lease on a key for a request whose body is still arriving. A single statement: no transaction
/// stays open meanwhile, and the key of a process that dies is free after `lease`. `false`: another request has the lease.
pub async fn acquire_lease(conn: &impl Conn, scope: &str, key: &str, holder: Uuid, lease: Duration) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "insert into idempotency_lease as held (scope, key, holder, until)
         values ($1, $2, $3, now() + make_interval(secs => $4))
         on conflict (scope, key) do update set holder = excluded.holder, until = excluded.until
         where held.until < now() or held.holder = excluded.holder",
        [scope.into(), key.into(), holder.into(), lease.as_secs_f64().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Releases a lease.
pub async fn release_lease(conn: &impl Conn, scope: &str, key: &str, holder: Uuid) -> Result<()> {
    sql::execute(
        conn,
        "delete from idempotency_lease where scope = $1 and key = $2 and holder = $3",
        [scope.into(), key.into(), holder.into()],
    )
    .await?;
    Ok(())
}

/// Deletes leases of requests that ended without a release.
pub async fn delete_expired_leases(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from idempotency_lease where until < now()", []).await
}

/// Deletes responses older than `age`.
pub async fn delete_older_than(conn: &impl Conn, age: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from idempotency where created_at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
