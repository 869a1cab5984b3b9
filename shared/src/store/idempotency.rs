//! Answers already given to requests that carried an `Idempotency-Key`.
//!
//! A row is written in the transaction of the effect it stands for, so that one exists exactly when the other does. While
//! that transaction runs, the key is held by a lock of the transaction, not by a row: nothing is left to clean up.

use std::time::Duration;

use sea_orm::FromQueryResult;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::entity::idempotency::Model;

/// Holds a key until the transaction ends, however it ends: a process that dies holds nothing. `false`: another holds it.
pub async fn hold(tx: &Tx, scope: &str, key: &str) -> Result<bool> {
    let held: Option<Held> = sql::first(
        tx,
        // A space stands in no key, so that two pairs never make the same text.
        "select pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0)) as held",
        [scope.into(), key.into()],
    )
    .await?;
    Ok(held.is_some_and(|row| row.held))
}

#[derive(FromQueryResult)]
struct Held {
    held: bool,
}

/// What a key was used for, within the time answers are kept. Ask while it is held, or the answer may be on its way.
pub async fn find(tx: &Tx, scope: &str, key: &str, kept: Duration) -> Result<Option<Model>> {
    sql::first(
        tx,
        "select * from idempotency
         where scope = $1 and key = $2 and created_at > now() - make_interval(secs => $3)",
        [scope.into(), key.into(), kept.as_secs_f64().into()],
    )
    .await
}

/// Whether a key has been used, within the time answers are kept.
pub async fn is_kept(conn: &impl Conn, scope: &str, key: &str, kept: Duration) -> Result<bool> {
    let found: Option<Held> = sql::first(
        conn,
        "select true as held from idempotency
         where scope = $1 and key = $2 and created_at > now() - make_interval(secs => $3)",
        [scope.into(), key.into(), kept.as_secs_f64().into()],
    )
    .await?;
    Ok(found.is_some())
}

/// Keeps the answer under a key that this transaction holds, in place of one that has expired.
pub async fn keep(tx: &Tx, scope: &str, key: &str, fingerprint: &[u8; 32], status: u16, body: Json) -> Result<()> {
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

/// Claims a key for a request whose body is still to arrive, or holds on to it, for `lease` from now. One statement:
/// nothing stays open meanwhile, and a process that dies holds the key no longer than that. `false`: another has it.
pub async fn claim(conn: &impl Conn, scope: &str, key: &str, holder: Uuid, lease: Duration) -> Result<bool> {
    let rows = sql::execute(
        conn,
        "insert into idempotency_claim as claimed (scope, key, holder, until)
         values ($1, $2, $3, now() + make_interval(secs => $4))
         on conflict (scope, key) do update set holder = excluded.holder, until = excluded.until
         where claimed.until < now() or claimed.holder = excluded.holder",
        [scope.into(), key.into(), holder.into(), lease.as_secs_f64().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Gives a claim up.
pub async fn release(conn: &impl Conn, scope: &str, key: &str, holder: Uuid) -> Result<()> {
    sql::execute(
        conn,
        "delete from idempotency_claim where scope = $1 and key = $2 and holder = $3",
        [scope.into(), key.into(), holder.into()],
    )
    .await?;
    Ok(())
}

/// Forgets claims of requests that ended without giving them up.
pub async fn forget_claims(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from idempotency_claim where until < now()", []).await
}

/// Forgets answers older than `age`.
pub async fn forget_older_than(conn: &impl Conn, age: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from idempotency where created_at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
