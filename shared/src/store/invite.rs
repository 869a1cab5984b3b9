//! Invites: who may become a member.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use serde_json::json;

use super::{Conn, Result, Tx, activity::AuditEntry, sql};
use crate::{
    domain::{activity::Action, role::Role},
    entity::invite::Model,
    id::{AccountId, InviteId, WorkspaceId},
};

/// An invite to be.
#[derive(Debug)]
#[allow(missing_docs, reason = "columns of `invite`")]
pub struct NewInvite<'a> {
    pub id: InviteId,
    pub role: Role,
    /// Normalised; `None`: for whoever has the code.
    pub email: Option<&'a str>,
    pub code_hash: [u8; 32],
    pub invited_by: AccountId,
    pub expires_at: DateTime<Utc>,
}

/// Adds an invite; one for the same address that has expired makes room. `None`: that address is invited already.
pub async fn insert(tx: &Tx, workspace: WorkspaceId, invite: &NewInvite<'_>) -> Result<Option<Model>> {
    sql::execute(
        tx,
        "delete from invite where workspace_id = $1 and email = $2 and expires_at <= now()",
        [workspace.into(), invite.email.into()],
    )
    .await?;
    sql::first(
        tx,
        "insert into invite (workspace_id, id, role, email, code_hash, invited_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (workspace_id, email) where email is not null do nothing returning *",
        [
            workspace.into(),
            invite.id.into(),
            sea_orm::ActiveEnum::to_value(&invite.role).into(),
            invite.email.into(),
            invite.code_hash.to_vec().into(),
            invite.invited_by.into(),
            invite.expires_at.into(),
        ],
    )
    .await
}

/// Invites that can still be accepted, newest first, from before `before` on.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<InviteId>,
    limit: i64,
) -> Result<Vec<Model>> {
    sql::all(
        conn,
        "select * from invite where workspace_id = $1 and expires_at > now() and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        [workspace.into(), before.into(), limit.into()],
    )
    .await
}

/// Where an invite is to that this account may use: it has not expired, and is for this address or for anybody.
pub async fn workspace_of(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<Option<WorkspaceId>> {
    #[derive(FromQueryResult)]
    struct Row {
        workspace_id: WorkspaceId,
    }
    let row: Option<Row> = sql::first(
        conn,
        "select workspace_id from invite
         where code_hash = $1 and expires_at > now() and (email is null or email = $2)",
        [code_hash.to_vec().into(), email.into()],
    )
    .await?;
    Ok(row.map(|row| row.workspace_id))
}

/// What somebody does with an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Comes in; not while whoever made the invite is suspended.
    Accept,
    /// Stays away.
    Decline,
}

/// Uses up the invite with this code, if this account may use it so. One of many at the same time gets it.
pub async fn take(tx: &Tx, code_hash: &[u8; 32], email: &str, answer: Answer) -> Result<Option<Model>> {
    sql::first(
        tx,
        &format!(
            "delete from invite
             where code_hash = $1 and expires_at > now() and (email is null or email = $2)
                 and ($3 or not {BY_SUSPENDED})
             returning *"
        ),
        [code_hash.to_vec().into(), email.into(), (answer == Answer::Decline).into()],
    )
    .await
}

/// Whether the invite with this code can be accepted and names this address; it is not used up by that.
pub async fn names(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    let rows = sql::execute(
        conn,
        &format!(
            "select from invite where code_hash = $1 and email = $2 and expires_at > now() and not {BY_SUSPENDED}"
        ),
        [code_hash.to_vec().into(), email.into()],
    )
    .await?;
    Ok(rows > 0)
}

/// Whoever made the invite is suspended: it is as good as none until they may go on.
const BY_SUSPENDED: &str =
    "exists (select from account maker where maker.id = invite.invited_by and maker.state = 'suspended')";

/// One invite.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: InviteId) -> Result<Option<Model>> {
    sql::first(
        conn,
        "select * from invite where workspace_id = $1 and id = $2 and expires_at > now()",
        [workspace.into(), id.into()],
    )
    .await
}

/// What a letter says of an invite that can be accepted.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Invitation {
    /// The name of the workspace.
    pub workspace: String,
    /// The display name of whoever made it, if that account is still there.
    pub inviter: Option<String>,
    /// What the invited may do.
    pub role: Role,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
}

/// One invite that can be accepted, in names.
pub async fn invitation(conn: &impl Conn, workspace: WorkspaceId, id: InviteId) -> Result<Option<Invitation>> {
    sql::first(
        conn,
        &format!(
            "select workspace.name as workspace, account.display_name as inviter, invite.role, invite.expires_at
             from invite
             join workspace on workspace.id = invite.workspace_id
             left join account on account.id = invite.invited_by
             where invite.workspace_id = $1 and invite.id = $2 and invite.expires_at > now() and not {BY_SUSPENDED}"
        ),
        [workspace.into(), id.into()],
    )
    .await
}

/// Takes an invite back. `false`: there is none.
pub async fn cancel(tx: &Tx, workspace: WorkspaceId, id: InviteId) -> Result<bool> {
    let rows =
        sql::execute(tx, "delete from invite where workspace_id = $1 and id = $2", [workspace.into(), id.into()])
            .await?;
    Ok(rows == 1)
}

/// An invite that was taken back because of something else that was done.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Withdrawn {
    /// The invite.
    pub id: InviteId,
    /// What it invited to.
    pub role: Role,
}

impl Withdrawn {
    /// The entry for the activity log.
    #[must_use]
    pub fn audit_entry(self, reason: &str) -> AuditEntry {
        AuditEntry::new(Action::InviteCancelled, self.id.0, json!({ "role": self.role.name(), "reason": reason }))
    }
}

/// Takes back the account's invites to these roles; says which, for the activity log.
pub(super) async fn withdraw(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    roles: &[Role],
) -> Result<Vec<Withdrawn>> {
    let roles: Vec<String> = roles.iter().map(|role| role.name().to_owned()).collect();
    sql::all(
        tx,
        "delete from invite where workspace_id = $1 and invited_by = $2 and role = any($3) returning id, role",
        [workspace.into(), account.into(), roles.into()],
    )
    .await
}

/// Takes back all invites to a workspace; those that have expired go without a word.
pub(super) async fn withdraw_all(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<Withdrawn>> {
    sql::all(
        tx,
        "with gone as (delete from invite where workspace_id = $1 returning id, role, expires_at)
         select id, role from gone where expires_at > now() order by id",
        [workspace.into()],
    )
    .await
}

/// Takes back the invites of an account that is closed, and all those of a workspace that would have no owner then: nobody
/// comes into one that nobody answers for.
pub async fn withdraw_closed(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> Result<Vec<Withdrawn>> {
    sql::all(
        tx,
        "delete from invite where workspace_id = $1 and (invited_by = $2
             or exists (select from member where workspace_id = $1 and account_id = $2 and member.role = 'owner')
                and not exists (
                    select from member join account on account.id = member.account_id
                    where member.workspace_id = $1 and member.account_id <> $2 and member.role = 'owner'
                      and account.state = 'active' and account.erase_at is null))
         returning id, role",
        [workspace.into(), account.into()],
    )
    .await
}

/// Forgets invites that expired more than a day ago.
pub async fn forget_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from invite where expires_at < now() - interval '1 day'", []).await
}
