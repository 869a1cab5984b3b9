//! Creating, cancelling, accepting and declining invites, under the workspace's lock.

use std::time::Duration;

use chrono::TimeDelta;
use nvisy_shared::{
    clock,
    crypt::invite_code,
    domain::{activity::Action, mail::MailKind, role::Role},
    entity::invite::Model,
    id::{AccountId, InviteId, WorkspaceId},
    platform::Platform,
    secret::Secret,
    store::{
        self, Tx,
        activity::AuditEntry,
        change::Change,
        invite::{InviteDecision, NewInvite},
        mail::NewMail,
        workspace::Workspace,
    },
};
use serde::Serialize;
use serde_json::json;

use crate::{
    auth::{
        account::CurrentAccount,
        member::{ManageInvites, Member, require_not_above},
    },
    http::client_info::ClientInfo,
    problem::{Code, Problem},
    state::State,
};

/// A request for an invite.
#[derive(Debug, Serialize)]
pub struct CreateInviteCommand {
    /// Normalized; `None`: any account with the code may accept.
    pub email: Option<String>,
    pub role: Role,
    pub expires_in_days: u32,
}

impl CreateInviteCommand {
    /// Whether the code is mailed, and so not in the response.
    pub fn is_mailed(&self, state: &State) -> bool {
        self.email.is_some() && state.mailer.is_configured()
    }

    /// The entry for an attempt to invite to a role above the caller's own.
    pub fn denied_entry(&self, caller: AccountId) -> AuditEntry {
        AuditEntry::new(Action::MemberRefused, caller, json!({ "role": self.role.name(), "invites": true }))
    }
}

pub async fn create(
    state: &State,
    change: &mut Change,
    member: &Member<ManageInvites>,
    command: &CreateInviteCommand,
) -> Result<Model, Problem> {
    let CreateInviteCommand { email, role, expires_in_days } = command;
    let (email, mailed) = (email.as_deref(), command.is_mailed(state));
    require_not_above(*role, member.lock(change).await?)?;
    let id = InviteId::new();
    let code = code(state, member.workspace, id);
    let new = NewInvite {
        id,
        role: *role,
        email,
        code_hash: invite_code::hash(&code).ok_or_else(|| Problem::internal("a new invite code has no hash"))?,
        invited_by: member.account,
        expires_at: clock::now() + TimeDelta::days(i64::from(*expires_in_days)),
    };
    let invite = store::invite::insert(change, member.workspace, &new).await?;
    let invite = invite.ok_or_else(|| Problem::new(Code::AlreadyInvited))?;
    if let Some(email) = email.filter(|_| mailed) {
        let lifetime = Duration::from_secs(u64::from(*expires_in_days) * 24 * 60 * 60);
        let invite = Some((member.workspace, id));
        // For every address alike: neither response nor mail shows whether the address has an account.
        let mail = NewMail { kind: MailKind::Invite, email, account: None, sign_up: None, invite, lifetime };
        state.mailer.send(change, mail).await?;
    }
    let details = json!({ "role": role.name(), "byEmail": email.is_some(), "mailed": mailed });
    change.audit_with(Action::InviteCreated, id, details);
    Ok(invite)
}

/// The code that accepts an invite: a keyed hash of its id, which no row holds.
pub fn code(state: &State, workspace: WorkspaceId, invite: InviteId) -> Secret<String> {
    state.platform.invite_codes.invite(workspace, invite)
}

pub async fn cancel(
    platform: &Platform,
    member: &Member<ManageInvites>,
    client: &ClientInfo,
    id: InviteId,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    let cancelled = changes.run(async |change| {
        let own = member.lock(change).await?;
        let invite = store::invite::find(change.tx(), member.workspace, id).await?.ok_or_else(Problem::not_found)?;
        require_not_above(invite.role, own)?;
        store::invite::cancel(change, member.workspace, id).await?;
        change.audit_with(Action::InviteCancelled, id, json!({ "role": invite.role.name() }));
        Ok(())
    });
    let details = json!({ "invites": true, "inviteId": id });
    let attempt = AuditEntry::new(Action::MemberRefused, member.account, details);
    member.record_denied(platform, client, attempt, cancelled.await).await
}

pub async fn accept(
    platform: &Platform,
    account: &CurrentAccount,
    client: &ClientInfo,
    code: &Secret<String>,
) -> Result<Workspace, Problem> {
    let changes = account.changes(platform, client);
    changes
        .run(async |change| {
            let invite = consume(change, account, code, InviteDecision::Accept).await?;
            // The change is rolled back, so the invite stays.
            if invite.email.is_some() && !account.email_verified && platform.config.smtp.server().is_some() {
                return Err(Problem::new(Code::EmailNotVerified));
            }
            if !store::member::join(change, invite.workspace_id, account.id, invite.role).await? {
                return Err(Problem::new(Code::AlreadyMember));
            }
            let details = json!({ "role": invite.role.name(), "inviteId": invite.id, "invitedBy": invite.invited_by });
            let joined = AuditEntry::new(Action::MemberJoined, account.id, details);
            change.audit_in(invite.workspace_id, joined);
            let workspace = store::workspace::find(change.tx(), invite.workspace_id, account.id).await?;
            workspace.ok_or_else(Problem::not_found)
        })
        .await
}

pub async fn decline(
    platform: &Platform,
    account: &CurrentAccount,
    client: &ClientInfo,
    code: &Secret<String>,
) -> Result<(), Problem> {
    let changes = account.changes(platform, client);
    changes
        .run(async |change| {
            let invite = consume(change, account, code, InviteDecision::Decline).await?;
            let details = json!({ "role": invite.role.name() });
            change.audit_in(invite.workspace_id, AuditEntry::new(Action::InviteDeclined, invite.id, details));
            Ok(())
        })
        .await
}

/// Uses the invite up. An unknown, used, expired or cancelled code, one for another address, and one by a suspended account
/// get the same 404.
async fn consume(
    tx: &Tx,
    account: &CurrentAccount,
    code: &Secret<String>,
    decision: InviteDecision,
) -> Result<Model, Problem> {
    let hash = invite_code::hash(code).ok_or_else(Problem::not_found)?;
    let workspace = store::invite::find_workspace(tx, &hash, &account.email).await?.ok_or_else(Problem::not_found)?;
    // Before the invite: cancelling it and deleting the workspace lock in the same order.
    if !store::workspace::lock(tx, workspace).await? {
        return Err(Problem::not_found());
    }
    store::invite::consume(tx, &hash, &account.email, decision).await?.ok_or_else(Problem::not_found)
}
