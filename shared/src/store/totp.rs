//! The second factor: a shared secret, and codes for whoever has lost it.

use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{entity::totp::Model, id::AccountId};

/// Begins an enrolment, in the place of one that was not confirmed. `false`: a second factor is there.
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

/// The account's second factor, confirmed or not, locked for the rest of the transaction.
pub async fn lock(tx: &Tx, account: AccountId) -> Result<Option<Model>> {
    sql::first(tx, "select * from totp where account_id = $1 for update", [account.into()]).await
}

/// Notes that a code was right. Confirms an enrolment.
pub async fn accept(tx: &Tx, account: AccountId, step: Option<i64>) -> Result<()> {
    sql::execute(
        tx,
        "update totp set last_step = greatest(last_step, $2), failures = 0, confirmed_at = coalesce(confirmed_at, now())
         where account_id = $1",
        [account.into(), step.unwrap_or_default().into()],
    )
    .await?;
    Ok(())
}

/// Notes that a code was wrong; the enrolment counts them until one is right.
pub async fn refuse(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(
        tx,
        "update totp set failures = failures + 1, failed_at = now() where account_id = $1",
        [account.into()],
    )
    .await?;
    Ok(())
}

/// Removes the second factor with its recovery codes.
pub async fn remove(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(tx, "delete from totp where account_id = $1", [account.into()]).await?;
    Ok(())
}

/// Puts recovery codes in the place of those there are.
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

/// Takes a recovery code. `false`: there is none like it, or not any more.
pub async fn take_recovery_code(tx: &Tx, account: AccountId, hash: &[u8; 32]) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "delete from recovery_code where account_id = $1 and hash = $2",
        [account.into(), hash.to_vec().into()],
    )
    .await?;
    Ok(rows == 1)
}

/// How an account stands with its second factor.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub struct Standing {
    /// Whether it is asked for.
    pub active: bool,
    /// Recovery codes that are left.
    pub recovery_codes: i64,
}

/// How an account stands with its second factor.
pub async fn standing(conn: &impl Conn, account: AccountId) -> Result<Standing> {
    let standing = sql::first(
        conn,
        "select confirmed_at is not null as active,
             (select count(*) from recovery_code where recovery_code.account_id = totp.account_id) as recovery_codes
         from totp where account_id = $1",
        [account.into()],
    )
    .await?;
    Ok(standing.unwrap_or_default())
}
