//! Invites to become a member of a workspace.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect, RelationTrait, SelectExt,
    raw_sql,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use serde_json::json;

use super::{Conn, Result, Tx, activity::AuditEntry, sql};
use crate::{
    domain::{account::AccountState, activity::Action, role::Role},
    entity::{
        account,
        invite::{ActiveModel, Column, Entity, Model, Relation},
        workspace,
    },
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
    if let Some(email) = invite.email {
        Entity::delete_many()
            .filter(Column::WorkspaceId.eq(workspace))
            .filter(Column::Email.eq(email))
            .filter(sql::is_future(Column::ExpiresAt).not())
            .exec(tx)
            .await?;
    }
    let row = ActiveModel {
        workspace_id: Set(workspace),
        id: Set(invite.id),
        role: Set(invite.role),
        email: Set(invite.email.map(str::to_owned)),
        code_hash: Set(invite.code_hash.to_vec()),
        invited_by: Set(Some(invite.invited_by)),
        expires_at: Set(invite.expires_at),
        ..Default::default()
    };
    let unless_invited = OnConflict::columns([Column::WorkspaceId, Column::Email])
        .target_and_where(Expr::col(Column::Email).is_not_null())
        .do_nothing()
        .to_owned();
    Ok(Entity::insert(row).on_conflict(unless_invited).exec_with_returning_many(tx).await?.pop())
}

/// Unexpired invites before `before`, newest first, at most `limit`.
pub async fn list(
    conn: &impl Conn,
    workspace: WorkspaceId,
    before: Option<InviteId>,
    limit: i64,
) -> Result<Vec<Model>> {
    let select = Entity::find().filter(Column::WorkspaceId.eq(workspace)).filter(sql::is_future(Column::ExpiresAt));
    sql::newest(select, Column::Id, before, limit).all(conn).await
}

/// The unexpired invite with this code, if an account with this address may use it.
fn usable(code_hash: &[u8; 32], email: &str) -> Condition {
    Condition::all()
        .add(Column::CodeHash.eq(code_hash.to_vec()))
        .add(sql::is_future(Column::ExpiresAt))
        .add(Condition::any().add(Column::Email.is_null()).add(Column::Email.eq(email)))
}

/// The workspace of an unexpired invite that an account with this address may use.
pub async fn find_workspace(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<Option<WorkspaceId>> {
    Entity::find()
        .select_only()
        .column(Column::WorkspaceId)
        .filter(usable(code_hash, email))
        .into_tuple()
        .one(conn)
        .await
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
    let mut consumed = Entity::delete_many().filter(usable(code_hash, email));
    if decision == InviteDecision::Accept {
        consumed = consumed.filter(inviter_is_suspended().not());
    }
    Ok(consumed.exec_with_returning(tx).await?.pop())
}

/// Whether an invite with this code and exactly this address can be accepted; the invite stays usable.
pub async fn is_addressed_to(conn: &impl Conn, code_hash: &[u8; 32], email: &str) -> Result<bool> {
    Entity::find()
        .filter(usable(code_hash, email))
        .filter(Column::Email.is_not_null())
        .filter(inviter_is_suspended().not())
        .exists(conn)
        .await
}

/// A suspended inviter's invites cannot be accepted.
fn inviter_is_suspended() -> Expr {
    let suspended = Query::select()
        .expr(Expr::cust("1"))
        .from(account::Entity)
        .and_where(account::Column::Id.into_expr().equals((Entity, Column::InvitedBy)))
        .and_where(account::Column::State.eq(AccountState::Suspended))
        .take();
    Expr::exists(suspended)
}

/// An unexpired invite.
pub async fn find(conn: &impl Conn, workspace: WorkspaceId, id: InviteId) -> Result<Option<Model>> {
    Entity::find_by_id((workspace, id)).filter(sql::is_future(Column::ExpiresAt)).one(conn).await
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
    Entity::find_by_id((workspace, id))
        .select_only()
        .column_as(workspace::Column::Name, "workspace")
        .column_as(account::Column::DisplayName, "inviter")
        .columns([Column::Role, Column::ExpiresAt])
        .join(JoinType::InnerJoin, Relation::Workspace.def())
        .join(JoinType::LeftJoin, Relation::Inviter.def())
        .filter(sql::is_future(Column::ExpiresAt))
        .filter(inviter_is_suspended().not())
        .into_model()
        .one(conn)
        .await
}

/// Cancels an invite. `false`: there is none.
pub async fn cancel(tx: &Tx, workspace: WorkspaceId, id: InviteId) -> Result<bool> {
    Ok(Entity::delete_by_id((workspace, id)).exec(tx).await?.rows_affected == 1)
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
    let roles = roles.to_vec();
    let withdrawn = raw_sql!(
        Postgres,
        "delete from invite where workspace_id = {workspace} and invited_by = {account} and role = any({roles})
         returning id, role"
    );
    sql::all(tx, withdrawn).await
}

/// Withdraws all invites to a workspace; expired ones are deleted but not returned.
pub(super) async fn withdraw_all(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<WithdrawnInvite>> {
    let withdrawn = raw_sql!(
        Postgres,
        "with withdrawn as (delete from invite where workspace_id = {workspace} returning id, role, expires_at)
         select id, role from withdrawn where expires_at > now() order by id"
    );
    sql::all(tx, withdrawn).await
}

/// Withdraws the invites of an account that is being closed and, if its workspace has no other active owner, all invites
/// to the workspace: a workspace without an owner gets no new members.
pub async fn withdraw_of_closed_account(
    tx: &Tx,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Vec<WithdrawnInvite>> {
    let withdrawn = raw_sql!(
        Postgres,
        "delete from invite where workspace_id = {workspace} and (invited_by = {account}
             or exists (select from member
                    where workspace_id = {workspace} and account_id = {account} and member.role = 'owner')
                and not exists (
                    select from member join account on account.id = member.account_id
                    where member.workspace_id = {workspace} and member.account_id <> {account} and member.role = 'owner'
                      and account.state = 'active' and account.erase_at is null))
         returning id, role"
    );
    sql::all(tx, withdrawn).await
}

/// Deletes invites that expired more than a day ago.
pub async fn delete_expired(conn: &impl Conn) -> Result<u64> {
    let expired = Entity::delete_many().filter(sql::is_older_than(Column::ExpiresAt, Duration::from_hours(24)));
    Ok(expired.exec(conn).await?.rows_affected)
}
