//! Accounts: people who can sign in.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{
    entity::account::Model,
    id::{AccountId, WorkspaceId},
    secret::Secret,
};

/// An account to be.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Normalised: see [`crate::domain::account::normalise_email`].
    pub email: &'a str,
    /// 2 to 100 characters.
    pub display_name: &'a str,
    /// The PHC string, never the password.
    pub password_hash: &'a Secret<String>,
}

/// Adds an account. `None`: the address is taken, also by an account that another transaction adds at this moment.
///
/// # Errors
/// The database's.
pub async fn insert(tx: &Tx, account: NewAccount<'_>) -> Result<Option<Model>> {
    sql::first(
        tx,
        "insert into account (id, email, display_name, password_hash) values ($1, $2, $3, $4)
         on conflict (email) do nothing returning *",
        [
            AccountId::new().into(),
            account.email.into(),
            account.display_name.into(),
            account.password_hash.expose().as_str().into(),
        ],
    )
    .await
}

/// The account with this (normalised) address.
///
/// # Errors
/// The database's.
pub async fn by_email(conn: &impl Conn, email: &str) -> Result<Option<Model>> {
    sql::first(conn, "select * from account where email = $1", [email.into()]).await
}

/// The account, locked for the rest of the transaction, if its password is still the one with this hash: what was
/// verified before the transaction began holds until it ends.
///
/// # Errors
/// The database's.
pub async fn lock_verified(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<Option<Model>> {
    sql::first(
        tx,
        "select * from account where id = $1 and password_hash = $2 for update",
        [id.into(), password_hash.expose().as_str().into()],
    )
    .await
}

/// Changes the display name, if the account is at one of these revisions, or at any. `None`: it is not.
///
/// # Errors
/// The database's.
pub async fn rename(tx: &Tx, id: AccountId, revisions: Option<Vec<i32>>, display_name: &str) -> Result<Option<Model>> {
    sql::first(
        tx,
        "update account set display_name = $3, revision = revision + 1, updated_at = now()
         where id = $1 and ($2::integer[] is null or revision = any($2)) returning *",
        [id.into(), revisions.into(), display_name.into()],
    )
    .await
}

/// Changes the password.
///
/// # Errors
/// The database's.
pub async fn set_password(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<()> {
    sql::execute(
        tx,
        "update account set password_hash = $2, revision = revision + 1, updated_at = now() where id = $1",
        [id.into(), password_hash.expose().as_str().into()],
    )
    .await?;
    Ok(())
}

/// Notes that the account's address reaches its owner. `false`: the account has another address.
///
/// # Errors
/// The database's.
pub async fn verify_email(tx: &Tx, id: AccountId, email: &str) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "update account set email_verified_at = coalesce(email_verified_at, now()) where id = $1 and email = $2",
        [id.into(), email.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Gives the account another address, which has been shown to reach its owner. `false`: another account has it.
///
/// # Errors
/// The database's.
pub async fn change_email(tx: &Tx, id: AccountId, email: &str) -> Result<bool> {
    let changed = sql::execute(
        tx,
        "update account set email = $2, email_verified_at = now(), revision = revision + 1, updated_at = now()
         where id = $1",
        [id.into(), email.into()],
    )
    .await;
    match changed {
        Ok(rows) => Ok(rows == 1),
        // Nothing else can be done in this transaction now, and nothing else is.
        Err(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a workspace with other members would be left without an owner if the account were gone.
///
/// # Errors
/// The database's.
pub async fn is_last_owner(conn: &impl Conn, id: AccountId) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Row {
        last: bool,
    }
    let row: Option<Row> = sql::first(
        conn,
        "select exists (
             select from member mine
             where mine.account_id = $1 and mine.role = 'owner'
               and exists (select from member other
                   where other.workspace_id = mine.workspace_id and other.account_id <> $1)
               and not exists (select from member other join account on account.id = other.account_id
                   where other.workspace_id = mine.workspace_id and other.account_id <> $1
                     and other.role = 'owner' and account.erase_at is null)) as last",
        [id.into()],
    )
    .await?;
    Ok(row.is_some_and(|row| row.last))
}

/// Marks the account for erasure; says when that will be.
///
/// # Errors
/// The database's.
pub async fn close(tx: &Tx, id: AccountId, grace: Duration) -> Result<DateTime<Utc>> {
    #[derive(FromQueryResult)]
    struct Row {
        erase_at: DateTime<Utc>,
    }
    let row: Option<Row> = sql::first(
        tx,
        "update account set erase_at = now() + make_interval(secs => $2) where id = $1 returning erase_at",
        [id.into(), grace.as_secs_f64().into()],
    )
    .await?;
    row.map(|row| row.erase_at).ok_or(super::Error::RecordNotUpdated)
}

/// Takes the mark for erasure back.
///
/// # Errors
/// The database's.
pub async fn reopen(tx: &Tx, id: AccountId) -> Result<()> {
    sql::execute(tx, "update account set erase_at = null where id = $1", [id.into()]).await?;
    Ok(())
}

/// Locks an account whose time has come. `None`: there is none, or another worker is at it.
///
/// # Errors
/// The database's.
pub async fn lock_due_for_erasure(tx: &Tx) -> Result<Option<AccountId>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: AccountId,
    }
    let row: Option<Row> = sql::first(
        tx,
        "select id from account where erase_at <= now() order by erase_at limit 1 for update skip locked",
        [],
    )
    .await?;
    Ok(row.map(|row| row.id))
}

/// Workspaces that nobody else belongs to.
///
/// # Errors
/// The database's.
pub async fn own_workspaces(tx: &Tx, id: AccountId) -> Result<Vec<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
    }
    let rows: Vec<Row> = sql::all(
        tx,
        "select workspace_id from member mine
         where account_id = $1 and not exists (
             select from member other where other.workspace_id = mine.workspace_id and other.account_id <> $1)
         order by workspace_id",
        [id.into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| row.workspace_id).collect())
}

/// Makes sure that no workspace is left without an owner when the account is gone: whoever has the highest role, the
/// longest, becomes it. Says who, and where.
///
/// # Errors
/// The database's.
pub async fn hand_over(tx: &Tx, id: AccountId) -> Result<Vec<(WorkspaceId, AccountId)>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
        account_id: AccountId,
    }
    let rows: Vec<Row> = sql::all(
        tx,
        "update member set role = 'owner'
         from (
             select distinct on (heir.workspace_id) heir.workspace_id, heir.account_id
             from member mine join member heir on heir.workspace_id = mine.workspace_id and heir.account_id <> $1
             where mine.account_id = $1 and mine.role = 'owner'
               and not exists (select from member other where other.workspace_id = mine.workspace_id
                   and other.account_id <> $1 and other.role = 'owner')
             order by heir.workspace_id,
                 array_position(array['admin', 'member', 'guest'], heir.role), heir.created_at, heir.account_id) heir
         where member.workspace_id = heir.workspace_id and member.account_id = heir.account_id
         returning member.workspace_id, member.account_id",
        [id.into()],
    )
    .await?;
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.account_id)).collect())
}

/// Erases an account with all that is only its own.
///
/// # Errors
/// The database's.
pub async fn erase(tx: &Tx, id: AccountId) -> Result<()> {
    sql::execute(tx, "delete from idempotency where scope like $1", [format!("{id} %").into()]).await?;
    sql::execute(tx, "delete from account where id = $1", [id.into()]).await?;
    Ok(())
}
