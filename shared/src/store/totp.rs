//! The second factor: a shared secret, and recovery codes in case the device is lost.

use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{entity::totp::Model, id::AccountId};

/// Starts an enrolment and replaces one that was not confirmed. `false`: the account has a confirmed second factor.
pub async fn enrol(tx: &Tx, account: AccountId, key: i32, secret: &[u8]) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "insert into totp (account_id, key_id, secret) values ($1, $2, $3)
         on conflict (account_id) do update set key_id = excluded.key_id, secret = excluded.secret, failures = 0,
             last_step = 0, created_at = now()
         where totp.confirmed_at is null",
        [account.into(), key.into(), secret.to_vec().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// The account's second factor, confirmed or not, locked until the transaction ends.
pub async fn lock(tx: &Tx, account: AccountId) -> Result<Option<Model>> {
    sql::first(tx, "select * from totp where account_id = $1 for update", [account.into()]).await
}

/// Records a correct code. Confirms an enrolment.
pub async fn record_success(tx: &Tx, account: AccountId, step: Option<i64>) -> Result<()> {
    sql::execute(
        tx,
        "update totp set last_step = greatest(last_step, $2), failures = 0, confirmed_at = coalesce(confirmed_at, now())
         where account_id = $1",
        [account.into(), step.unwrap_or_default().into()],
    )
    .await?;
    Ok(())
}

/// Records a wrong code. A correct code resets the count.
pub async fn record_failure(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(
        tx,
        "update totp set failures = failures + 1, failed_at = now() where account_id = $1",
        [account.into()],
    )
    .await?;
    Ok(())
}

/// Deletes the second factor with its recovery codes.
pub async fn delete(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(tx, "delete from totp where account_id = $1", [account.into()]).await?;
    Ok(())
}

/// Replaces the recovery codes.
pub async fn replace_recovery_codes(tx: &Tx, account: AccountId, hashes: &[[u8; 32]]) -> Result<()> {
    sql::execute(tx, "delete from recovery_code where account_id = $1", [account.into()]).await?;
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    sql::execute(
        tx,
        "insert into recovery_code (account_id, hash) select $1, unnest($2::bytea[])",
        [account.into(), hashes.into()],
    )
    .await?;
    Ok(())
}

/// Uses up a recovery code. `false`: the account has no such code.
pub async fn consume_recovery_code(tx: &Tx, account: AccountId, hash: &[u8; 32]) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "delete from recovery_code where account_id = $1 and hash = $2",
        [account.into(), hash.to_vec().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// The status of an account's second factor.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub struct SecondFactorStatus {
    /// Whether it is confirmed, so that a login requires a code.
    pub active: bool,
    /// The number of unused recovery codes.
    pub recovery_codes: i64,
}

/// The status of an account's second factor.
pub async fn status(conn: &impl Conn, account: AccountId) -> Result<SecondFactorStatus> {
    let status = sql::first(
        conn,
        "select confirmed_at is not null as active,
             (select count(*) from recovery_code where recovery_code.account_id = totp.account_id) as recovery_codes
         from totp where account_id = $1",
        [account.into()],
    )
    .await?;
    Ok(status.unwrap_or_default())
}
