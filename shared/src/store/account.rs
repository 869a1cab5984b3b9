//! Accounts of people who can sign in.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use super::{Conn, Result, Tx, sql};
use crate::{domain::account::AccountState, entity::account::Model, id::AccountId, secret::Secret};

/// An account to be added.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Normalised: see [`crate::domain::account::normalise_email`].
    pub email: &'a str,
    /// 2 to 100 characters.
    pub display_name: &'a str,
    /// The PHC string, never the password.
    pub password_hash: &'a Secret<String>,
}

/// Adds an account and deletes the address's sign-up permit. `None`: the address is taken, also by an account that another
/// transaction adds concurrently.
pub async fn insert(tx: &Tx, account: NewAccount<'_>) -> Result<Option<Model>> {
    sql::first(
        tx,
        "with permit as (delete from sign_up_permit where email = $2)
         insert into account (id, email, display_name, password_hash) values ($1, $2, $3, $4)
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
pub async fn by_email(conn: &impl Conn, email: &str) -> Result<Option<Model>> {
    sql::first(conn, "select * from account where email = $1", [email.into()]).await
}

/// The account with this id.
pub async fn find(conn: &impl Conn, id: AccountId) -> Result<Option<Model>> {
    sql::first(conn, "select * from account where id = $1", [id.into()]).await
}

/// Suspends or reactivates an account. `false`: the account does not exist or has that state already.
pub async fn set_state(tx: &Tx, id: AccountId, state: AccountState) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "update account set state = $2, updated_at = now() where id = $1 and state <> $2",
        [id.into(), sea_orm::ActiveEnum::to_value(&state).into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Locks the account until the transaction ends if its password hash is still this one: a password that was verified before
/// the transaction began stays valid until it ends.
pub async fn lock_verified(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<Option<Model>> {
    sql::first(
        tx,
        "select * from account where id = $1 and password_hash = $2 for update",
        [id.into(), password_hash.expose().as_str().into()],
    )
    .await
}

/// Changes the display name if the account is at one of these revisions (`None`: at any). Returns `None` if it is not.
pub async fn rename(tx: &Tx, id: AccountId, revisions: Option<Vec<i32>>, display_name: &str) -> Result<Option<Model>> {
    sql::first(
        tx,
        "update account set display_name = $3, revision = revision + 1, updated_at = now()
         where id = $1 and ($2::integer[] is null or revision = any($2)) returning *",
        [id.into(), revisions.into(), display_name.into()],
    )
    .await
}

/// Changes the password. Invalidates links that were requested with the old password, and links that reset it.
pub async fn set_password(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<()> {
    sql::execute(
        tx,
        "update account set password_hash = $2, revision = revision + 1, updated_at = now() where id = $1",
        [id.into(), password_hash.expose().as_str().into()],
    )
    .await?;
    super::mail::invalidate_links(tx, id).await
}

/// Marks the account's address as verified. `false`: the account has another address.
pub async fn verify_email(tx: &Tx, id: AccountId, email: &str) -> Result<bool> {
    let rows = sql::execute(
        tx,
        "update account set email_verified_at = coalesce(email_verified_at, now()) where id = $1 and email = $2",
        [id.into(), email.into()],
    )
    .await?;
    Ok(rows == 1)
}

/// Changes the account's address to a verified one and invalidates the account's links. Returns the old address.
/// `None`: another account has the new address.
pub async fn change_email(tx: &Tx, id: AccountId, email: &str) -> Result<Option<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        email: String,
    }
    super::mail::invalidate_links(tx, id).await?;
    let changed: Result<Option<Row>> = sql::first(
        tx,
        "update account set email = $2, email_verified_at = now(), revision = revision + 1, updated_at = now()
         where id = $1 returning old.email",
        [id.into(), email.into()],
    )
    .await;
    match changed {
        Ok(row) => Ok(row.map(|row| row.email)),
        // PostgreSQL accepts no further statement in this transaction; the caller runs none.
        Err(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a workspace with other members would have no active owner without this account.
pub async fn is_last_owner(conn: &impl Conn, id: AccountId) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Row {
        last: bool,
    }
    let row: Option<Row> = sql::first(
        conn,
        "select exists (
             select from member own
             where own.account_id = $1 and own.role = 'owner'
               and exists (select from member other
                   where other.workspace_id = own.workspace_id and other.account_id <> $1)
               and not exists (select from member other join account on account.id = other.account_id
                   where other.workspace_id = own.workspace_id and other.account_id <> $1
                     and other.role = 'owner' and account.state = 'active' and account.erase_at is null)) as last",
        [id.into()],
    )
    .await?;
    Ok(row.is_some_and(|row| row.last))
}

/// Schedules the account's erasure and invalidates its links. Returns the time of the erasure.
pub async fn close(tx: &Tx, id: AccountId, grace: Duration) -> Result<DateTime<Utc>> {
    #[derive(FromQueryResult)]
    struct Row {
        erase_at: DateTime<Utc>,
    }
    super::mail::invalidate_links(tx, id).await?;
    let row: Option<Row> = sql::first(
        tx,
        "update account set erase_at = now() + make_interval(secs => $2) where id = $1 returning erase_at",
        [id.into(), grace.as_secs_f64().into()],
    )
    .await?;
    row.map(|row| row.erase_at).ok_or(super::Error::RecordNotUpdated)
}

/// Cancels the account's erasure.
pub async fn reopen(tx: &Tx, id: AccountId) -> Result<()> {
    sql::execute(tx, "update account set erase_at = null where id = $1", [id.into()]).await?;
    Ok(())
}

/// Locks an account whose erasure is due. `None`: there is none, or another worker has locked it.
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

/// Erases an account with everything that belongs to it alone, and personal data in rows of others: invites and mail to
/// the address, and stored responses of idempotent requests. The account's row has the salt of the key that seals its IP
/// addresses in the activity log, which become unreadable.
pub async fn erase(tx: &Tx, id: AccountId) -> Result<()> {
    let with_email = [
        "delete from invite using account where account.id = $1 and invite.email = account.email",
        "delete from mail using account where account.id = $1 and mail.email = account.email",
        // Responses about members contain the address or the account's id.
        "delete from idempotency using account where account.id = $1
             and (strpos(body::text, to_json(account.email)::text) > 0 or strpos(body::text, account.id::text) > 0)",
    ];
    for statement in with_email {
        sql::execute(tx, statement, [id.into()]).await?;
    }
    sql::execute(tx, "delete from idempotency where scope like $1", [format!("{id} %").into()]).await?;
    sql::execute(tx, "delete from account where id = $1", [id.into()]).await?;
    Ok(())
}
