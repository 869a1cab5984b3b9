//! Answers already given to requests that carried an `Idempotency-Key`.
//!
//! A row is written in the transaction of the effect it stands for, so that one exists exactly when the other does.

use serde_json::Value as Json;

use super::{Conn, Result, Tx, sql};
use crate::entity::idempotency::Model;

/// Takes a key. `false`: it has been used, and [`find`] tells for what.
///
/// Waits while another transaction holds the same key: until that one commits (`false`) or gives up (`true`).
///
/// # Errors
/// The database's.
pub async fn take(tx: &Tx, scope: &str, key: &str, fingerprint: &[u8; 32]) -> Result<bool> {
    // Status and body are not known yet; `answer` writes them before anybody else can see the row.
    let rows = sql::execute(
        tx,
        "insert into idempotency (scope, key, fingerprint, status, body) values ($1, $2, $3, 0, 'null')
         on conflict do nothing",
        [scope.into(), key.into(), fingerprint.to_vec().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Keeps the answer under a key that this transaction has taken.
///
/// # Errors
/// The database's.
pub async fn answer(tx: &Tx, scope: &str, key: &str, status: u16, body: Json) -> Result<()> {
    sql::execute(
        tx,
        "update idempotency set status = $3, body = $4 where scope = $1 and key = $2",
        [scope.into(), key.into(), i32::from(status).into(), body.into()],
    )
    .await?;
    Ok(())
}

/// What a key was used for.
///
/// # Errors
/// The database's.
pub async fn find(conn: &impl Conn, scope: &str, key: &str) -> Result<Option<Model>> {
    sql::first(conn, "select * from idempotency where scope = $1 and key = $2", [scope.into(), key.into()]).await
}

/// Forgets answers older than `age`.
///
/// # Errors
/// The database's.
pub async fn forget_older_than(conn: &impl Conn, age: std::time::Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from idempotency where created_at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
