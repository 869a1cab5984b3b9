//! Stored responses of requests with an `Idempotency-Key`.
//!
//! The transaction of a request's effect also stores the response, so that both exist or neither does. While that
//! transaction runs, an advisory lock holds the key, so a process that dies leaves nothing to clean up.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    EntityTrait, QueryFilter, Select, SelectExt, raw_sql,
    sea_query::{ExprTrait, OnConflict},
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::entity::idempotency::{ActiveModel, Column, Entity, Model};

/// Locks a key until the transaction ends. `false`: another transaction has locked it.
pub async fn try_lock(tx: &Tx, scope: &str, key: &str) -> Result<bool> {
    // A key contains no space, so different pairs never give the same text.
    let lock = raw_sql!(
        Postgres,
        "select pg_try_advisory_xact_lock(hashtextextended({scope}::text || ' ' || {key}::text, 0))"
    );
    Ok(sql::first_value(tx, lock).await? == Some(true))
}

fn retained(scope: &str, key: &str, retention: Duration) -> Select<Entity> {
    Entity::find_by_id((scope.to_owned(), key.to_owned()))
        .filter(sql::is_older_than(Column::CreatedAt, retention).not())
}

/// The response stored under a key within the retention time. Lock the key first, or another request may be about to store
/// one.
pub async fn find(tx: &Tx, scope: &str, key: &str, retention: Duration) -> Result<Option<Model>> {
    retained(scope, key, retention).one(tx).await
}

/// Whether a response is stored under a key within the retention time.
pub async fn exists(conn: &impl Conn, scope: &str, key: &str, retention: Duration) -> Result<bool> {
    retained(scope, key, retention).exists(conn).await
}

/// Stores the response under a key that this transaction has locked; an expired one is replaced.
pub async fn insert(tx: &Tx, scope: &str, key: &str, fingerprint: &[u8; 32], status: u16, body: Json) -> Result<()> {
    let response = ActiveModel {
        scope: Set(scope.to_owned()),
        key: Set(key.to_owned()),
        fingerprint: Set(fingerprint.to_vec()),
        status: Set(i16::try_from(status).unwrap_or(i16::MAX)),
        body: Set(body),
        ..Default::default()
    };
    let replace = OnConflict::columns([Column::Scope, Column::Key])
        .update_columns([Column::Fingerprint, Column::Status, Column::Body])
        .value(Column::CreatedAt, sql::now())
        .to_owned();
    Entity::insert(response).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// Acquires or renews a lease on a key for a request whose body is still arriving. A single statement: no transaction
/// stays open meanwhile, and the key of a process that dies is free after `lease`. `false`: another request has the lease.
pub async fn acquire_lease(conn: &impl Conn, scope: &str, key: &str, holder: Uuid, lease: Duration) -> Result<bool> {
    let lease_seconds = lease.as_secs_f64();
    let acquired = raw_sql!(
        Postgres,
        "insert into idempotency_lease as held (scope, key, holder, until)
         values ({scope}, {key}, {holder}, now() + make_interval(secs => {lease_seconds}))
         on conflict (scope, key) do update set holder = excluded.holder, until = excluded.until
         where held.until < now() or held.holder = excluded.holder"
    );
    Ok(sql::execute(conn, acquired).await? == 1)
}

/// Releases a lease.
pub async fn release_lease(conn: &impl Conn, scope: &str, key: &str, holder: Uuid) -> Result<()> {
    let released =
        raw_sql!(Postgres, "delete from idempotency_lease where scope = {scope} and key = {key} and holder = {holder}");
    sql::execute(conn, released).await?;
    Ok(())
}

/// Deletes leases of requests that ended without a release.
pub async fn delete_expired_leases(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, raw_sql!(Postgres, "delete from idempotency_lease where until < now()")).await
}

/// Deletes responses older than `age`.
pub async fn delete_older_than(conn: &impl Conn, age: Duration) -> Result<u64> {
    let expired = Entity::delete_many().filter(sql::is_older_than(Column::CreatedAt, age));
    Ok(expired.exec(conn).await?.rows_affected)
}
