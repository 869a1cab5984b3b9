//! API tokens: credentials of programs that act for an account.
//!
//! The statement that authorises a request reads the token's row, so a revoked token fails at the next request.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::api_token::Model,
    id::{AccountId, TokenId, WorkspaceId},
};

/// A token to be added.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
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
pub async fn insert(tx: &Tx, token: NewToken<'_>) -> Result<Option<Model>> {
    let workspaces: Option<Vec<Uuid>> = token.workspaces.map(|ids| ids.into_iter().map(|id| id.0).collect());
    sql::first(
        tx,
        "insert into api_token (id, account_id, name, hash, hint, permissions, workspaces, expires_at)
         select $1, $2, $3, $4, $5, $6, $7, $8
         where $7::uuid[] is null or not exists (
             select from unnest($7::uuid[]) requested (id)
             where not exists (select from member where workspace_id = requested.id and account_id = $2))
         returning *",
        [
            token.id.into(),
            token.account.into(),
            token.name.into(),
            token.hash.to_vec().into(),
            token.hint.into(),
            token.permissions.into(),
            workspaces.into(),
            token.expires_at.into(),
        ],
    )
    .await
}

/// The account's tokens before `before`, newest first, at most `limit`.
pub async fn list(conn: &impl Conn, account: AccountId, before: Option<TokenId>, limit: i64) -> Result<Vec<Model>> {
    sql::all(
        conn,
        "select * from api_token where account_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        [account.into(), before.into(), limit.into()],
    )
    .await
}

/// The number of the account's tokens; call it under [`super::session::lock`].
pub async fn count(conn: &impl Conn, account: AccountId) -> Result<i64> {
    #[derive(sea_orm::FromQueryResult)]
    struct Row {
        tokens: i64,
    }
    let row: Option<Row> =
        sql::first(conn, "select count(*) as tokens from api_token where account_id = $1", [account.into()]).await?;
    Ok(row.map_or(0, |row| row.tokens))
}

/// Revokes a token. `false`: the account has no such token.
pub async fn revoke(tx: &Tx, account: AccountId, token: TokenId) -> Result<bool> {
    let rows =
        sql::execute(tx, "delete from api_token where account_id = $1 and id = $2", [account.into(), token.into()])
            .await?;
    Ok(rows == 1)
}

/// Revokes all tokens of the account; returns their ids.
pub async fn revoke_all(tx: &Tx, account: AccountId) -> Result<Vec<TokenId>> {
    #[derive(sea_orm::FromQueryResult)]
    struct Row {
        id: TokenId,
    }
    let rows: Vec<Row> =
        sql::all(tx, "delete from api_token where account_id = $1 returning id", [account.into()]).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Stores the times of last use; a time before the stored one changes nothing.
pub async fn mark_used(conn: &impl Conn, uses: &[(TokenId, DateTime<Utc>)]) -> Result<()> {
    let ids: Vec<Uuid> = uses.iter().map(|(id, _)| id.0).collect();
    let times: Vec<DateTime<Utc>> = uses.iter().map(|(_, time)| *time).collect();
    sql::execute(
        conn,
        // Sorted by id: replicas that write at the same time lock rows in the same order and do not deadlock.
        "with used as materialized (
             select api_token.id, seen.time
             from api_token join unnest($1::uuid[], $2::timestamptz[]) seen (id, time) on seen.id = api_token.id
             where last_used_at is null or last_used_at < seen.time
             order by api_token.id for update of api_token)
         update api_token set last_used_at = used.time from used where api_token.id = used.id",
        [ids.into(), times.into()],
    )
    .await?;
    Ok(())
}

/// Deletes tokens that expired longer than `age` ago.
pub async fn delete_expired(conn: &impl Conn, age: Duration) -> Result<u64> {
    sql::execute(
        conn,
        "delete from api_token where expires_at < now() - make_interval(secs => $1)",
        [age.as_secs_f64().into()],
    )
    .await
}
