//! Mail to be sent, and the links in it.
//!
//! A request for mail writes the same rows whether or not an account has the address; only the worker that sends the mail
//! looks up the account.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryResult, raw_sql,
};

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::mail::MailKind,
    entity::mail::{ActiveModel, Column, Entity, Model},
    id::{AccountId, InviteId, MailId, WorkspaceId},
    secret::Secret,
};

/// A mail to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewMail<'a> {
    /// The reason for the mail.
    pub kind: MailKind,
    /// The recipient's address; normalised.
    pub email: &'a str,
    /// The account that requested the mail, if the request was authenticated.
    pub account: Option<AccountId>,
    /// Of a sign-up: display name and password hash of the future account.
    pub sign_up: Option<(&'a str, &'a Secret<String>)>,
    /// Of an invite: the invite.
    pub invite: Option<(WorkspaceId, InviteId)>,
    /// How long the link in it is valid.
    pub lifetime: Duration,
}

/// Adds a mail.
pub async fn insert(tx: &Tx, mail: NewMail<'_>) -> Result<MailId> {
    let id = MailId::new();
    let (display_name, password_hash) = mail.sign_up.unzip();
    let (workspace, invite) = mail.invite.unzip();
    let kind = mail.kind;
    let password_hash = password_hash.map(|hash| hash.expose().as_str());
    let lifetime_seconds = mail.lifetime.as_secs_f64();
    let inserted = raw_sql!(
        Postgres,
        "insert into mail (id, kind, email, account_id, display_name, password_hash, expires_at, workspace_id, invite_id)
         values ({id}, {kind}, {mail.email}, {mail.account}, {display_name}, {password_hash},
             now() + make_interval(secs => {lifetime_seconds}), {workspace}, {invite})"
    );
    sql::execute(tx, inserted).await?;
    Ok(id)
}

/// A mail to be sent, and recent mail to the same address.
#[derive(Clone, Debug)]
pub struct PendingMail {
    /// The mail.
    pub mail: Model,
    /// Whether a mail of the same kind was requested within the minute before this one and has been sent, or is being sent.
    pub duplicate: bool,
    /// Whether a mail of the same kind was sent to the address within the last minute.
    pub rate_limited: bool,
}

impl FromQueryResult for PendingMail {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self {
            mail: Model::from_query_result(row, prefix)?,
            duplicate: row.try_get(prefix, "duplicate")?,
            rate_limited: row.try_get(prefix, "rate_limited")?,
        })
    }
}

/// A mail whose link has not expired.
pub async fn find(conn: &impl Conn, id: MailId) -> Result<Option<PendingMail>> {
    let pending = raw_sql!(
        Postgres,
        "select mail.*,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.hash is not null
                 and other.created_at > mail.created_at - interval '1 minute') as duplicate,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.sent_at > now() - interval '1 minute') as rate_limited
         from mail
         where mail.id = {id} and mail.expires_at > now()"
    );
    sql::first(conn, pending).await
}

/// Stores the hash of the link's token, which replaces the one of an earlier attempt, and marks the mail as sent.
pub async fn set_link_hash(tx: &Tx, id: MailId, hash: &[u8; 32]) -> Result<()> {
    Entity::update_many()
        .set(ActiveModel { hash: Set(Some(hash.to_vec())), ..Default::default() })
        .col_expr(Column::SentAt, sql::now())
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes a mail that is not to be sent.
pub async fn delete(tx: &Tx, id: MailId) -> Result<()> {
    Entity::delete_by_id(id).exec(tx).await?;
    Ok(())
}

/// The mail with this link, unless it has expired.
fn usable(kind: MailKind, hash: &[u8; 32]) -> Condition {
    Condition::all()
        .add(Column::Hash.eq(hash.to_vec()))
        .add(Column::Kind.eq(kind))
        .add(sql::is_future(Column::ExpiresAt))
}

/// The mail with this link, if it has not expired; the link stays usable.
pub async fn find_link(conn: &impl Conn, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    Entity::find().filter(usable(kind, hash)).one(conn).await
}

/// Uses up a link: of several concurrent uses only one gets the mail.
pub async fn consume_link(tx: &Tx, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    Ok(Entity::delete_many().filter(usable(kind, hash)).exec_with_returning(tx).await?.pop())
}

/// Deletes all links of a kind to an address.
pub async fn delete_links(tx: &Tx, kind: MailKind, email: &str) -> Result<()> {
    Entity::delete_many().filter(Column::Kind.eq(kind)).filter(Column::Email.eq(email)).exec(tx).await?;
    Ok(())
}

/// Deletes all links that the account requested or that reset its password.
pub async fn invalidate_links(tx: &Tx, account: AccountId) -> Result<()> {
    let links = raw_sql!(
        Postgres,
        "delete from mail where account_id = {account}
             or kind = 'password_reset' and email = (select email from account where id = {account})"
    );
    sql::execute(tx, links).await?;
    Ok(())
}

/// Deletes mail whose link has expired.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    Ok(Entity::delete_many().filter(sql::is_past(Column::ExpiresAt)).exec(conn).await?.rows_affected)
}
