//! Mail to be sent, and the links in it.
//!
//! Asking for mail writes the same rows whether or not anybody has the address: only the worker that sends it finds out.

use std::time::Duration;

use sea_orm::{ActiveEnum, FromQueryResult, QueryResult};

use super::{Conn, Result, Tx, sql};
use crate::{
    domain::mail::MailKind,
    entity::mail::Model,
    id::{AccountId, InviteId, MailId, WorkspaceId},
    secret::Secret,
};

/// A mail to be.
#[derive(Clone, Copy, Debug)]
pub struct NewMail<'a> {
    /// Why.
    pub kind: MailKind,
    /// To whom; normalised.
    pub email: &'a str,
    /// Who asked, where that is somebody who is signed in.
    pub account: Option<AccountId>,
    /// Display name and password hash of the account to be, of a sign-up.
    pub sign_up: Option<(&'a str, &'a Secret<String>)>,
    /// The invite that it brings, of an invite.
    pub invite: Option<(WorkspaceId, InviteId)>,
    /// How long the link in it is good.
    pub life: Duration,
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
            mail.life.as_secs_f64().into(),
            workspace.into(),
            invite.into(),
        ],
    )
    .await?;
    Ok(id)
}

/// A mail, and what else was sent to its address.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The mail.
    pub mail: Model,
    /// Whether the same was asked for within the minute before, and sent there or is just being sent.
    pub repeated: bool,
    /// Whether another of its kind was handed to the mail server for the same address within the last minute.
    pub crowded: bool,
}

impl FromQueryResult for Addressed {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self {
            mail: Model::from_query_result(row, prefix)?,
            repeated: row.try_get(prefix, "repeated")?,
            crowded: row.try_get(prefix, "crowded")?,
        })
    }
}

/// A mail that is still to be sent.
pub async fn find(conn: &impl Conn, id: MailId) -> Result<Option<Addressed>> {
    sql::first(
        conn,
        "select mail.*,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.hash is not null
                 and other.created_at > mail.created_at - interval '1 minute') as repeated,
             exists (select from mail other where other.email = mail.email and other.kind = mail.kind
                 and other.id <> mail.id and other.sent_at > now() - interval '1 minute') as crowded
         from mail
         where mail.id = $1 and mail.expires_at > now()",
        [id.into()],
    )
    .await
}

/// Gives the link in a mail its token, in the place of one that an earlier attempt to send gave it: it is being sent.
pub async fn set_hash(tx: &Tx, id: MailId, hash: &[u8; 32]) -> Result<()> {
    sql::execute(tx, "update mail set hash = $2, sent_at = now() where id = $1", [id.into(), hash.to_vec().into()])
        .await?;
    Ok(())
}

/// Removes a mail that nobody is to get.
pub async fn remove(tx: &Tx, id: MailId) -> Result<()> {
    sql::execute(tx, "delete from mail where id = $1", [id.into()]).await?;
    Ok(())
}

/// The mail with a link that is good at this moment; it is not used by that.
pub async fn find_link(conn: &impl Conn, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    sql::first(
        conn,
        "select * from mail where hash = $1 and kind = $2 and expires_at > now()",
        [hash.to_vec().into(), kind.to_value().into()],
    )
    .await
}

/// Uses a link: no second use finds it, also not one at the same time.
pub async fn take(tx: &Tx, kind: MailKind, hash: &[u8; 32]) -> Result<Option<Model>> {
    sql::first(
        tx,
        "delete from mail where hash = $1 and kind = $2 and expires_at > now() returning *",
        [hash.to_vec().into(), kind.to_value().into()],
    )
    .await
}

/// Uses up all links of a kind to an address.
pub async fn take_all(tx: &Tx, kind: MailKind, email: &str) -> Result<()> {
    sql::execute(tx, "delete from mail where kind = $1 and email = $2", [kind.to_value().into(), email.into()]).await?;
    Ok(())
}

/// Makes all links void that the account has asked for, or that would set its password anew.
pub async fn void(tx: &Tx, account: AccountId) -> Result<()> {
    sql::execute(
        tx,
        "delete from mail where account_id = $1
             or kind = 'password_reset' and email = (select email from account where id = $1)",
        [account.into()],
    )
    .await?;
    Ok(())
}

/// Removes mail whose links have expired.
pub async fn forget_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from mail where expires_at < now()", []).await
}
