//! The second factor: a shared secret, and recovery codes in case the device is lost.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, raw_sql,
    sea_query::OnConflict,
};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::{
        recovery_code,
        totp::{ActiveModel, Column, Entity, Model},
    },
    id::AccountId,
};

/// Starts an enrolment and replaces one that was not confirmed. `false`: the account has a confirmed second factor.
pub async fn enrol(tx: &Tx, account: AccountId, key: i32, secret: &[u8]) -> Result<bool> {
    let pending = ActiveModel {
        account_id: Set(account),
        key_id: Set(key),
        secret: Set(secret.to_vec()),
        failures: Set(0),
        last_step: Set(0),
        ..Default::default()
    };
    let replace_pending = OnConflict::column(Column::AccountId)
        .update_columns([Column::KeyId, Column::Secret, Column::Failures, Column::LastStep])
        .value(Column::CreatedAt, sql::now())
        .action_and_where(Column::ConfirmedAt.is_null())
        .to_owned();
    Ok(Entity::insert(pending).on_conflict(replace_pending).exec_without_returning(tx).await? == 1)
}

/// The account's second factor, confirmed or not, locked until the transaction ends.
pub async fn lock(tx: &Tx, account: AccountId) -> Result<Option<Model>> {
    Entity::find_by_id(account).lock_exclusive().one(tx).await
}

/// Records a correct code. Confirms an enrolment.
pub async fn record_success(tx: &Tx, account: AccountId, step: Option<i64>) -> Result<()> {
    let step = step.unwrap_or_default();
    let recorded = raw_sql!(
        Postgres,
        "update totp set last_step = greatest(last_step, {step}), failures = 0,
             confirmed_at = coalesce(confirmed_at, now())
         where account_id = {account}"
    );
    sql::execute(tx, recorded).await?;
    Ok(())
}

/// Records a wrong code. A correct code resets the count.
pub async fn record_failure(tx: &Tx, account: AccountId) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Failures, sql::incremented(Column::Failures))
        .col_expr(Column::FailedAt, sql::now())
        .filter(Column::AccountId.eq(account))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes the second factor with its recovery codes.
pub async fn delete(tx: &Tx, account: AccountId) -> Result<()> {
    Entity::delete_by_id(account).exec(tx).await?;
    Ok(())
}

/// Replaces the recovery codes.
pub async fn replace_recovery_codes(tx: &Tx, account: AccountId, hashes: &[[u8; 32]]) -> Result<()> {
    recovery_code::Entity::delete_many().filter(recovery_code::Column::AccountId.eq(account)).exec(tx).await?;
    let codes =
        hashes.iter().map(|hash| recovery_code::ActiveModel { account_id: Set(account), hash: Set(hash.to_vec()) });
    recovery_code::Entity::insert_many(codes).exec_without_returning(tx).await?;
    Ok(())
}

/// Uses up a recovery code. `false`: the account has no such code.
pub async fn consume_recovery_code(tx: &Tx, account: AccountId, hash: &[u8; 32]) -> Result<bool> {
    let used = recovery_code::Entity::delete_by_id((account, hash.to_vec())).exec(tx).await?;
    Ok(used.rows_affected == 1)
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
    let status = raw_sql!(
        Postgres,
        "select confirmed_at is not null as active,
             (select count(*) from recovery_code where recovery_code.account_id = totp.account_id) as recovery_codes
         from totp where account_id = {account}"
    );
    Ok(sql::first(conn, status).await?.unwrap_or_default())
}
