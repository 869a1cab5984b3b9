//! Accounts of people who can sign in.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany, raw_sql,
    sea_query::{LockType, OnConflict},
};

use super::{Conn, Error, Result, Tx, sql};
use crate::{
    domain::account::AccountState,
    entity::{
        account::{ActiveModel, Column, Entity, Model},
        idempotency, sign_up_permit,
    },
    id::AccountId,
    secret::Secret,
};

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
    sign_up_permit::Entity::delete_many().filter(sign_up_permit::Column::Email.eq(account.email)).exec(tx).await?;
    let row = ActiveModel {
        id: Set(AccountId::new()),
        email: Set(account.email.to_owned()),
        display_name: Set(account.display_name.to_owned()),
        password_hash: Set(account.password_hash.expose().clone()),
        ..Default::default()
    };
    let unless_taken = OnConflict::column(Column::Email).do_nothing().to_owned();
    Ok(Entity::insert(row).on_conflict(unless_taken).exec_with_returning_many(tx).await?.pop())
}

/// The account with this (normalised) address.
pub async fn by_email(conn: &impl Conn, email: &str) -> Result<Option<Model>> {
    Entity::find().filter(Column::Email.eq(email)).one(conn).await
}

/// The account with this id.
pub async fn find(conn: &impl Conn, id: AccountId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(conn).await
}

/// Suspends or reactivates an account. `false`: the account does not exist or has that state already.
pub async fn set_state(tx: &Tx, id: AccountId, state: AccountState) -> Result<bool> {
    let changed = Entity::update_many()
        .set(ActiveModel { state: Set(state), ..Default::default() })
        .col_expr(Column::UpdatedAt, sql::now())
        .filter(Column::Id.eq(id))
        .filter(Column::State.ne(state));
    Ok(changed.exec(tx).await?.rows_affected == 1)
}

/// Locks the account until the transaction ends, so that what belongs to it can be counted. Rows that refer to it can still
/// be added.
pub(super) async fn lock(tx: &Tx, id: AccountId) -> Result<()> {
    let account = Entity::find_by_id(id).select_only().column(Column::Id).lock(LockType::NoKeyUpdate);
    account.into_tuple::<AccountId>().one(tx).await?;
    Ok(())
}

/// Locks the account until the transaction ends if its password hash is still this one: a password that was verified before
/// the transaction began stays valid until it ends.
pub async fn lock_verified(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<Option<Model>> {
    let verified = Entity::find_by_id(id).filter(Column::PasswordHash.eq(password_hash.expose().as_str()));
    verified.lock_exclusive().one(tx).await
}

/// An update that other changes of the account can detect.
fn revise(id: AccountId, values: ActiveModel) -> UpdateMany<Entity> {
    Entity::update_many()
        .set(values)
        .col_expr(Column::Revision, sql::incremented(Column::Revision))
        .col_expr(Column::UpdatedAt, sql::now())
        .filter(Column::Id.eq(id))
}

/// Changes the display name if the account is at one of these revisions (`None`: at any). Returns `None` if it is not.
pub async fn rename(tx: &Tx, id: AccountId, revisions: Option<Vec<i32>>, display_name: &str) -> Result<Option<Model>> {
    let mut renamed = revise(id, ActiveModel { display_name: Set(display_name.to_owned()), ..Default::default() });
    if let Some(revisions) = revisions {
        renamed = renamed.filter(Column::Revision.eq_any(revisions));
    }
    Ok(renamed.exec_with_returning(tx).await?.pop())
}

/// Changes the password. Invalidates links that were requested with the old password, and links that reset it.
pub async fn set_password(tx: &Tx, id: AccountId, password_hash: &Secret<String>) -> Result<()> {
    let password_hash = password_hash.expose().clone();
    revise(id, ActiveModel { password_hash: Set(password_hash), ..Default::default() }).exec(tx).await?;
    super::mail::invalidate_links(tx, id).await
}

/// Marks the account's address as verified. `false`: the account has another address.
pub async fn verify_email(tx: &Tx, id: AccountId, email: &str) -> Result<bool> {
    let verified = raw_sql!(
        Postgres,
        "update account set email_verified_at = coalesce(email_verified_at, now()) where id = {id} and email = {email}"
    );
    Ok(sql::execute(tx, verified).await? == 1)
}

/// Changes the account's address to a verified one and invalidates the account's links. Returns the old address.
/// `None`: another account has the new address.
pub async fn change_email(tx: &Tx, id: AccountId, email: &str) -> Result<Option<String>> {
    super::mail::invalidate_links(tx, id).await?;
    let change = raw_sql!(
        Postgres,
        "update account set email = {email}, email_verified_at = now(), revision = revision + 1, updated_at = now()
         where id = {id} returning old.email"
    );
    match sql::first_value(tx, change).await {
        // PostgreSQL accepts no further statement in this transaction; the caller runs none.
        Err(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))) => Ok(None),
        changed => changed,
    }
}

/// Whether a workspace with other members would have no active owner without this account.
pub async fn is_last_owner(conn: &impl Conn, id: AccountId) -> Result<bool> {
    let last = raw_sql!(
        Postgres,
        "select exists (
             select from member own
             where own.account_id = {id} and own.role = 'owner'
               and exists (select from member other
                   where other.workspace_id = own.workspace_id and other.account_id <> own.account_id)
               and not exists (select from member other join account on account.id = other.account_id
                   where other.workspace_id = own.workspace_id and other.account_id <> own.account_id
                     and other.role = 'owner' and account.state = 'active' and account.erase_at is null))"
    );
    Ok(sql::first_value(conn, last).await? == Some(true))
}

/// Schedules the account's erasure and invalidates its links. Returns the time of the erasure.
pub async fn close(tx: &Tx, id: AccountId, grace: Duration) -> Result<DateTime<Utc>> {
    super::mail::invalidate_links(tx, id).await?;
    let closed = Entity::update_many().col_expr(Column::EraseAt, sql::from_now(grace)).filter(Column::Id.eq(id));
    let closed = closed.exec_with_returning(tx).await?.pop();
    closed.and_then(|account| account.erase_at).ok_or(Error::RecordNotUpdated)
}

/// Cancels the account's erasure.
pub async fn reopen(tx: &Tx, id: AccountId) -> Result<()> {
    let open = ActiveModel { erase_at: Set(None), ..Default::default() };
    Entity::update_many().set(open).filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}

/// The account whose erasure has been due for the longest time.
pub async fn find_due_for_erasure(conn: &impl Conn) -> Result<Option<AccountId>> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(sql::is_past(Column::EraseAt))
        .order_by_asc(Column::EraseAt)
        .into_tuple()
        .one(conn)
        .await
}

/// Locks an account if its erasure is due.
pub async fn lock_due_for_erasure(tx: &Tx, id: AccountId) -> Result<bool> {
    let due = Entity::find_by_id(id)
        .select_only()
        .column(Column::Id)
        .filter(sql::is_past(Column::EraseAt))
        .lock(LockType::Update)
        .into_tuple::<AccountId>();
    Ok(due.one(tx).await?.is_some())
}

/// Erases an account with everything that belongs to it alone, and personal data in rows of others: invites and mail to
/// the address, and stored responses of idempotent requests. The account's row has the salt of the key that seals its IP
/// addresses in the activity log, which become unreadable.
pub async fn erase(tx: &Tx, id: AccountId) -> Result<()> {
    let invites =
        raw_sql!(Postgres, "delete from invite using account where account.id = {id} and invite.email = account.email");
    sql::execute(tx, invites).await?;
    let mail =
        raw_sql!(Postgres, "delete from mail using account where account.id = {id} and mail.email = account.email");
    sql::execute(tx, mail).await?;
    // Responses about members contain the address or the account's id.
    let responses = raw_sql!(
        Postgres,
        "delete from idempotency using account where account.id = {id}
             and (strpos(body::text, to_json(account.email)::text) > 0 or strpos(body::text, account.id::text) > 0)"
    );
    sql::execute(tx, responses).await?;
    idempotency::Entity::delete_many()
        .filter(idempotency::Column::Scope.starts_with(format!("{id} ")))
        .exec(tx)
        .await?;
    Entity::delete_by_id(id).exec(tx).await?;
    Ok(())
}
