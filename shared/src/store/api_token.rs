//! API tokens: credentials of programs that act for an account.
//!
//! The statement that authorises a request reads the token's row, so a revoked token fails at the next request.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, raw_sql};

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::api_token::{Column, Entity, Model},
    id::{AccountId, TokenId, WorkspaceId},
};

/// A token to be added.
#[derive(Clone, Debug)]
pub struct NewApiToken<'a> {
    /// The token's id.
    pub id: TokenId,
    /// The account it acts for.
    pub account: AccountId,
    /// 1 to 100 characters.
    pub name: &'a str,
    /// See [`crate::crypt::token::hash`].
    pub hash: &'a [u8; 32],
    /// The token's last characters.
    pub hint: &'a str,
    /// Names of permissions, at least one.
    pub permissions: Vec<String>,
    /// The workspaces it is limited to; `None`: every workspace of the account.
    pub workspaces: Option<Vec<WorkspaceId>>,
    /// The time at which it expires.
    pub expires_at: DateTime<Utc>,
}

/// Adds a token. `None`: the account is not a member of one of the workspaces.
pub async fn insert(tx: &Tx, token: NewApiToken<'_>) -> Result<Option<Model>> {
    let hash = token.hash.as_slice();
    let inserted = raw_sql!(
        Postgres,
        "insert into api_token (id, account_id, name, hash, hint, permissions, workspaces, expires_at)
         select {token.id}, {token.account}, {token.name}, {hash}, {token.hint}, {token.permissions}, {token.workspaces},
             {token.expires_at}
         where {token.workspaces}::uuid[] is null or not exists (
             select from unnest({token.workspaces}::uuid[]) requested (id)
             where not exists (
                 select from member where workspace_id = requested.id and account_id = {token.account}))
         returning *"
    );
    sql::first(tx, inserted).await
}

/// The account's tokens before `before`, newest first, at most `limit`.
pub async fn list(conn: &impl Conn, account: AccountId, before: Option<TokenId>, limit: i64) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::AccountId.eq(account));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// The number of the account's tokens; call it under [`super::session::lock`].
pub async fn count(conn: &impl Conn, account: AccountId) -> Result<i64> {
    let tokens = Entity::find().filter(Column::AccountId.eq(account)).count(conn).await?;
    Ok(i64::try_from(tokens).unwrap_or(i64::MAX))
}

/// Revokes a token. `false`: the account has no such token.
pub async fn revoke(tx: &Tx, account: AccountId, token: TokenId) -> Result<bool> {
    let revoked = Entity::delete_many().filter(Column::Id.eq(token)).filter(Column::AccountId.eq(account));
    Ok(revoked.exec(tx).await?.rows_affected == 1)
}

/// Revokes all tokens of the account; returns their ids.
pub async fn revoke_all(tx: &Tx, account: AccountId) -> Result<Vec<TokenId>> {
    let revoked = Entity::delete_many().filter(Column::AccountId.eq(account)).exec_with_returning(tx).await?;
    Ok(revoked.into_iter().map(|token| token.id).collect())
}

/// Stores the times of last use; a time before the stored one changes nothing.
pub async fn mark_used(conn: &impl Conn, uses: &[(TokenId, DateTime<Utc>)]) -> Result<()> {
    let (ids, times): (Vec<TokenId>, Vec<DateTime<Utc>>) = uses.iter().copied().unzip();
    // Sorted by id: replicas that write at the same time lock rows in the same order and do not deadlock.
    let used = raw_sql!(
        Postgres,
        "with used as materialized (
             select api_token.id, seen.time
             from api_token join unnest({ids}::uuid[], {times}::timestamptz[]) seen (id, time) on seen.id = api_token.id
             where last_used_at is null or last_used_at < seen.time
             order by api_token.id for update of api_token)
         update api_token set last_used_at = used.time from used where api_token.id = used.id"
    );
    sql::execute(conn, used).await?;
    Ok(())
}

/// Deletes tokens that expired longer than `age` ago.
pub async fn delete_expired(conn: &impl Conn, age: Duration) -> Result<u64> {
    let expired = Entity::delete_many().filter(sql::is_older_than(Column::ExpiresAt, age));
    Ok(expired.exec(conn).await?.rows_affected)
}
