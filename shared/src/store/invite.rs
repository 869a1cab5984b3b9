//! Invites to become a member of a workspace.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use serde_json::json;

use super::{Conn, Result, Tx, activity::AuditEntry, sql};
use crate::{
    domain::{activity::Action, role::Role},
    entity::invite::Model,
    id::{AccountId, InviteId, WorkspaceId},
};

/// An invite to be added.
#[derive(Debug)]
#[allow(missing_docs, reason = "columns of `invite`")]
pub struct NewInvite<'a> {
    pub id: InviteId,
    pub role: Role,
    /// Normalised; `None`: the code is valid for any account.
    pub email: Option<&'a str>,
    pub code_hash: [u8; 32],
    pub invited_by: AccountId,
    pub expires_at: DateTime<Utc>,
}

/// Adds an invite and deletes an expired one for the same address. `None`: the address has an invite already.
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

/// Unexpired invites before `before`, newest first, at most `limit`.
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

/// The workspace of an unexpired invite that an account with this address may use.
pub async fn find_workspace(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<Option<WorkspaceId>> {
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

/// An account's decision on an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteDecision {
    /// The account becomes a member; impossible while the inviter is suspended.
    Accept,
    /// The account does not become a member.
    Decline,
}

/// Deletes and returns the invite with this code if an account with this address may use it. Of several concurrent calls
/// only one gets it.
pub async fn consume(tx: &Tx, code_hash: &[u8; 32], email: &str, decision: InviteDecision) -> Result<Option<Model>> {
    sql::first(
        tx,
        &format!(
            "delete from invite
             where code_hash = $1 and expires_at > now() and (email is null or email = $2)
                 and ($3 or not {INVITER_SUSPENDED})
             returning *"
        ),
        [code_hash.to_vec().into(), email.into(), (decision == InviteDecision::Decline).into()],
    )
    .await
}

/// Whether an invite with this code and exactly this address can be accepted; the invite stays usable.
pub async fn is_addressed_to(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    let rows = sql::execute(
        conn,
        &format!(
            "select from invite where code_hash = $1 and email = $2 and expires_at > now() and not {INVITER_SUSPENDED}"
        ),
        [code_hash.to_vec().into(), email.into()],
    )
    .await?;
    Ok(rows > 0)
}

/// A suspended inviter's invites cannot be accepted.
const INVITER_SUSPENDED: &str =
    "exists (select from account inviter where inviter.id = invite.invited_by and inviter.state = 'suspended')";

/// An unexpired invite.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: InviteId) -> Result<Option<Model>> {
    sql::first(
        conn,
        "select * from invite where workspace_id = $1 and id = $2 and expires_at > now()",
        [workspace.into(), id.into()],
    )
    .await
}

/// An invite with names, as the mail shows it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct InviteSummary {
    /// The name of the workspace.
    pub workspace: String,
    /// The inviter's display name, while the account exists.
    pub inviter: Option<String>,
    /// The role that the invite grants.
    pub role: Role,
    /// The time at which it expires.
    pub expires_at: DateTime<Utc>,
}

/// The summary of an invite that can be accepted.
pub async fn find_summary(conn: &impl Conn, workspace: WorkspaceId, id: InviteId) -> Result<Option<InviteSummary>> {
    sql::first(
        conn,
        &format!(
            "select workspace.name as workspace, account.display_name as inviter, invite.role, invite.expires_at
             from invite
             join workspace on workspace.id = invite.workspace_id
             left join account on account.id = invite.invited_by
             where invite.workspace_id = $1 and invite.id = $2 and invite.expires_at > now() and not {INVITER_SUSPENDED}"
        ),
        [workspace.into(), id.into()],
    )
    .await
}

/// Cancels an invite. `false`: there is none.
pub async fn cancel(tx: &Tx, workspace: WorkspaceId, id: InviteId) -> Result<bool> {
    let rows =
        sql::execute(tx, "delete from invite where workspace_id = $1 and id = $2", [workspace.into(), id.into()])
            .await?;
    Ok(rows == 1)
}

/// An invite that another change has withdrawn.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct WithdrawnInvite {
    /// The invite.
    pub id: InviteId,
    /// The role that it would have granted.
    pub role: Role,
}

impl WithdrawnInvite {
    /// The entry for the activity log.
    #[must_use]
    pub fn audit_entry(self, reason: &str) -> AuditEntry {
        AuditEntry::new(Action::InviteCancelled, self.id.0, json!({ "role": self.role.name(), "reason": reason }))
    }
}

/// Withdraws the account's invites to these roles; returns them for the activity log.
pub(super) async fn withdraw(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
    roles: &[Role],
) -> Result<Vec<WithdrawnInvite>> {
    let roles: Vec<String> = roles.iter().map(|role| role.name().to_owned()).collect();
    sql::all(
        tx,
        "delete from invite where workspace_id = $1 and invited_by = $2 and role = any($3) returning id, role",
        [workspace.into(), account.into(), roles.into()],
    )
    .await
}

/// Withdraws all invites to a workspace; expired ones are deleted but not returned.
pub(super) async fn withdraw_all(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<WithdrawnInvite>> {
    sql::all(
        tx,
        "with withdrawn as (delete from invite where workspace_id = $1 returning id, role, expires_at)
         select id, role from withdrawn where expires_at > now() order by id",
        [workspace.into()],
    )
    .await
}

/// Withdraws the invites of an account that is being closed and, if its workspace has no other active owner, all invites
/// to the workspace: a workspace without an owner gets no new members.
pub async fn withdraw_of_closed_account(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Vec<WithdrawnInvite>> {
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

/// Deletes invites that expired more than a day ago.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    sql::execute(conn, "delete from invite where expires_at < now() - interval '1 day'", []).await
}
