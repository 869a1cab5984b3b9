//! Mail to be sent, and the links in it.
//!
//! A request for mail writes the same rows whether or not an account has the address; only the worker that sends the mail
//! looks up the account.

use std::time::Duration;

use sea_orm::{ActiveEnum, FromQueryResult, QueryResult};

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::mail::MailKind,
    entity::mail::Model,
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
    sql::execute(
        tx,
        "insert into mail (id, kind, email, account_id, display_name, password_hash, expires_at, workspace_id, invite_id)
         values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9)",
        [
            id.into(),
            mail.kind.to_value().into(),
            mail.email.into(),
            mail.account.into(),
            display_name.into(),
            password_hash.map(|hash| hash.expose().clone()).into(),
            mail.lifetime.as_secs_f64().into(),
            workspace.into(),
            invite.into(),
        ],
    )
    .await?;
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
    sql::first(
        conn,
        "select mail.*,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.hash is not null
                 and other.created_at > mail.created_at - interval '1 minute') as duplicate,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.sent_at > now() - interval '1 minute') as rate_limited
         from mail
         where mail.id = $1 and mail.expires_at > now()",
        [id.into()],
    )
    .await
}

/// Stores the hash of the link's token, which replaces the one of an earlier attempt, and marks the mail as sent.
pub async fn set_link_hash(tx: &Tx, id: MailId, hash: &[u8; 32]) -> Result<()> {
    sql::execute(tx, "update mail set hash = $2, sent_at = now() where id = $1", [id.into(), hash.to_vec().into()])
        .await?;
    Ok(())
}

/// Deletes a mail that is not to be sent.
pub async fn delete(tx: &Tx, id: MailId) -> Result<()> {
    sql::execute(tx, "delete from mail where id = $1", [id.into()]).await?;
    Ok(())
}

/// The mail with this link, if it has not expired; the link stays usable.
pub async fn find_link(conn: &impl Conn, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    sql::first(
        conn,
        "select * from mail where hash = $1 and kind = $2 and expires_at > now()",
        [hash.to_vec().into(), kind.to_value().into()],
    )
    .await
}

/// Uses up a link: of several concurrent uses only one gets the mail.
pub async fn consume_link(tx: &Tx, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    sql::first(
        tx,
        "delete from mail where hash = $1 and kind = $2 and expires_at > now() returning *",
        [hash.to_vec().into(), kind.to_value().into()],
    )
    .await
}

/// Deletes all links of a kind to an address.
pub async fn delete_links(tx: &Tx, kind: MailKind, email: &str) -> Result<()> {
    sql::execute(tx, "delete from mail where kind = $1 and email = $2", [kind.to_value().into(), email.into()]).await?;
    Ok(())
}

/// Deletes all links that the account requested or that reset its password.
pub async fn invalidate_links(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(
        tx,
        "delete from mail where account_id = $1
             or kind = 'password_reset' and email = (select email from account where id = $1)",
        [account.into()],
    )
    .await?;
    Ok(())
}

/// Deletes mail whose link has expired.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from mail where expires_at < now()", []).await
}
