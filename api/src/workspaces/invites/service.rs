//! The steps of inviting and of answering an invite, each under the workspace's lock.

use std::time::Duration;

use chrono::TimeDelta;
use nvisy_shared::{
    clock,
    crypt::invite_code,
    domain::{account::normalise_email, activity::Action, mail::MailKind, role::Role},
    entity::invite::Model,
    id::InviteId,
    platform::Platform,
    secret::Secret,
    store::{
        self, TransactionTrait, Tx,
        activity::{self, AuditEntry},
        invite::{Answer, NewInvite},
        mail::NewMail,
        workspace::Workspace,
    },
};
use serde_json::json;

use super::wire::{CreateInvite, Invite};
use crate::{
    auth::{
        account::CurrentAccount,
        member::{ManageInvites, Member},
    },
    http::{
        client_info::Origin,
        idempotency::{IdempotencyKey, idempotent},
        status_json::Created,
    },
    identity::mail_links,
    problem::{Code, Problem},
    state::State,
    workspaces::members::service::{not_above, note_refusal},
};

pub async fn create(
    state: &State,
    member: &Member<ManageInvites>,
    key: IdempotencyKey,
    origin: &Origin,
    body: CreateInvite,
) -> Result<Created<Invite>, Problem> {
    let platform = &state.platform;
    let email = body.email.as_deref().map(normalise_email);
    let mailed = email.is_some() && mail_links::service::wanted(state).is_ok();
    let days = u64::from(body.expires_in_days);
    let role = Role::from(body.role);
    let meaning = (member.workspace, &email, role, body.expires_in_days);
    let once = key.once("createInvite", Some(member.account), &meaning);
    let made: Result<Created<Invite>, Problem> = idempotent(&platform.db, once, async |tx| {
        not_above(role, member.lock(tx).await?)?;
        let id = InviteId::new();
        let code = platform.invite_codes.invite(member.workspace, id);
        let new = NewInvite {
            id,
            role,
            email: email.as_deref(),
            code_hash: invite_code::hash(&code).ok_or_else(|| Problem::internal("a code of ours is none"))?,
            invited_by: member.account,
            expires_at: clock::now() + TimeDelta::days(i64::from(body.expires_in_days)),
        };
        let invite = store::invite::insert(tx, member.workspace, &new).await?;
        let invite = invite.ok_or_else(|| Problem::new(Code::AlreadyInvited))?;
        if let Some(email) = email.as_deref().filter(|_| mailed) {
            let life = Duration::from_secs(days * 24 * 60 * 60);
            let invite = Some((member.workspace, id));
            // Whether the address has an account is not asked: neither the answer nor the letter depends on it.
            let mail = NewMail { kind: MailKind::Invite, email, account: None, sign_up: None, invite, life };
            mail_links::service::send(tx, mail).await?;
        }
        let details = json!({ "role": role.name(), "byEmail": email.is_some(), "mailed": mailed });
        let act = AuditEntry::new(Action::InviteCreated, id.0, details);
        activity::append(tx, &platform.audit_keys, member.workspace, &origin.by(member.actor()), &[act]).await?;
        Ok(Invite { mailed: Some(mailed), ..invite.into() })
    })
    .await;
    let details = json!({ "role": role.name(), "invites": true });
    let mut invite = note_refusal(platform, member, origin, member.account, details, made).await?;
    // Not kept with the answer: what is stored under an idempotency key must not open anything.
    if invite.body.mailed != Some(true) {
        let code = platform.invite_codes.invite(member.workspace, InviteId(invite.body.id));
        invite.body.code = Some(code.expose().clone());
    }
    Ok(invite)
}

pub async fn cancel(
    platform: &Platform,
    member: &Member<ManageInvites>,
    origin: &Origin,
    id: InviteId,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    let invite = store::invite::find(&tx, member.workspace, id).await?.ok_or_else(Problem::not_found)?;
    not_above(invite.role, own)?;
    store::invite::cancel(&tx, member.workspace, id).await?;
    let act = AuditEntry::new(Action::InviteCancelled, id.0, json!({ "role": invite.role.name() }));
    activity::append(&tx, &platform.audit_keys, member.workspace, &origin.by(member.actor()), &[act]).await?;
    tx.commit().await?;
    Ok(())
}

pub async fn accept(
    platform: &Platform,
    account: &CurrentAccount,
    origin: &Origin,
    code: &Secret<String>,
) -> Result<Workspace, Problem> {
    let tx = platform.db.begin().await?;
    let invite = take(&tx, account, code, Answer::Accept).await?;
    // The invite stays: the transaction is given up.
    if invite.email.is_some() && !account.email_verified && platform.config.smtp.server().is_some() {
        return Err(Problem::new(Code::EmailNotVerified));
    }
    if !store::member::join(&tx, invite.workspace_id, account.id, invite.role).await? {
        return Err(Problem::new(Code::AlreadyMember));
    }
    let workspace = store::workspace::of_member(&tx, invite.workspace_id, account.id).await?;
    let workspace = workspace.ok_or_else(Problem::not_found)?;
    let details = json!({ "role": invite.role.name(), "inviteId": invite.id, "invitedBy": invite.invited_by });
    let act = AuditEntry::new(Action::MemberJoined, account.id.0, details);
    activity::append(&tx, &platform.audit_keys, invite.workspace_id, &origin.by(account.actor()), &[act]).await?;
    tx.commit().await?;
    Ok(workspace)
}

pub async fn decline(
    platform: &Platform,
    account: &CurrentAccount,
    origin: &Origin,
    code: &Secret<String>,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let invite = take(&tx, account, code, Answer::Decline).await?;
    let act = AuditEntry::new(Action::InviteDeclined, invite.id.0, json!({ "role": invite.role.name() }));
    activity::append(&tx, &platform.audit_keys, invite.workspace_id, &origin.by(account.actor()), &[act]).await?;
    tx.commit().await?;
    Ok(())
}

/// Uses the invite up. Unknown, used, expired, taken back, somebody else's, made by somebody who is suspended: nobody is
/// told which.
async fn take(tx: &Tx, account: &CurrentAccount, code: &Secret<String>, answer: Answer) -> Result<Model, Problem> {
    let hash = invite_code::hash(code).ok_or_else(Problem::not_found)?;
    let workspace = store::invite::workspace_of(tx, &hash, &account.email).await?.ok_or_else(Problem::not_found)?;
    // Before the invite: whoever takes it back, or deletes the workspace, locks in the same order.
    if !store::workspace::lock(tx, workspace).await? {
        return Err(Problem::not_found());
    }
    store::invite::take(tx, &hash, &account.email, answer).await?.ok_or_else(Problem::not_found)
}
