//! Who may become what. Every step is taken under the workspace's lock: of two owners who leave at once, the second is
//! the last.

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{
        self, TransactionTrait, Tx,
        activity::{self, ActorContext, AuditEntry},
        invite::Withdrawn,
    },
};
use serde_json::{Value, json};

use crate::{
    auth::member::{LeaveWorkspace, ManageMembers, Member, Needs, TransferWorkspace},
    http::{client_info::Origin, extract::invalid_field},
    problem::{Code, Problem},
};

pub async fn change(
    platform: &Platform,
    member: &Member<ManageMembers>,
    origin: &Origin,
    account: AccountId,
    role: Role,
) -> Result<store::member::Member, Problem> {
    let changed = change_role(platform, member, origin, account, role).await;
    note_refusal(platform, member, origin, account, json!({ "role": role.name() }), changed).await
}

async fn change_role(
    platform: &Platform,
    member: &Member<ManageMembers>,
    origin: &Origin,
    account: AccountId,
    role: Role,
) -> Result<store::member::Member, Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    let before = target(&tx, member, account, own).await?;
    not_above(role, own)?;
    if before.role == Role::Owner && role != Role::Owner {
        keep_an_owner(&tx, member.workspace, account).await?;
    }
    if before.role != role {
        let withdrawn = store::member::set_role(&tx, member.workspace, account, role).await?;
        let details = json!({ "from": before.role.name(), "to": role.name() });
        let act = AuditEntry::new(Action::MemberRoleChanged, account.0, details);
        log(&tx, platform, member, origin, act, withdrawn, "role_changed").await?;
    }
    tx.commit().await?;
    Ok(store::member::Member { role, ..before })
}

pub async fn remove(
    platform: &Platform,
    member: &Member<ManageMembers>,
    origin: &Origin,
    account: AccountId,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    let before = target(&tx, member, account, own).await?;
    if before.role == Role::Owner {
        keep_an_owner(&tx, member.workspace, account).await?;
    }
    let withdrawn = store::member::remove(&tx, member.workspace, account).await?;
    let act = AuditEntry::new(Action::MemberRemoved, account.0, json!({ "role": before.role.name() }));
    log(&tx, platform, member, origin, act, withdrawn, "removed").await?;
    tx.commit().await?;
    Ok(())
}

pub async fn leave(platform: &Platform, member: &Member<LeaveWorkspace>, origin: &Origin) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    if own == Role::Owner {
        keep_an_owner(&tx, member.workspace, member.account).await?;
    }
    let withdrawn = store::member::remove(&tx, member.workspace, member.account).await?;
    let act = AuditEntry::new(Action::MemberLeft, member.account.0, json!({ "role": own.name() }));
    log(&tx, platform, member, origin, act, withdrawn, "left").await?;
    tx.commit().await?;
    Ok(())
}

pub async fn transfer(
    platform: &Platform,
    member: &Member<TransferWorkspace>,
    origin: &Origin,
    account: AccountId,
) -> Result<store::workspace::Workspace, Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    if account == member.account {
        return Err(invalid_field("accountId", "is the caller's own"));
    }
    let heir = store::member::role(&tx, member.workspace, account).await?;
    let heir = heir.ok_or_else(Problem::not_found)?;
    store::member::set_role(&tx, member.workspace, account, Role::Owner).await?;
    let withdrawn = store::member::set_role(&tx, member.workspace, member.account, Role::Admin).await?;
    let workspace = store::workspace::of_member(&tx, member.workspace, member.account).await?;
    let by = origin.by(member.actor());
    let changed = |account: AccountId, from: Role, to: Role| {
        AuditEntry::new(Action::MemberRoleChanged, account.0, json!({ "from": from.name(), "to": to.name() }))
    };
    let mut acts = vec![
        AuditEntry::new(Action::WorkspaceTransferred, member.workspace.0, json!({ "accountId": account })),
        changed(account, heir, Role::Owner),
        changed(member.account, own, Role::Admin),
    ];
    acts.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("role_changed")));
    append(&tx, platform, member.workspace, &by, &acts).await?;
    tx.commit().await?;
    workspace.ok_or_else(Problem::not_found)
}

/// The member in question, if the caller may touch them.
async fn target<P: Needs>(
    tx: &Tx,
    member: &Member<P>,
    account: AccountId,
    own: Role,
) -> Result<store::member::Member, Problem> {
    let found = store::member::find(tx, member.workspace, account).await?.ok_or_else(Problem::not_found)?;
    not_above(found.role, own)?;
    Ok(found)
}

/// Nobody gives or takes a role above their own.
pub fn not_above(role: Role, own: Role) -> Result<(), Problem> {
    if role <= own { Ok(()) } else { Err(Problem::new(Code::Forbidden).detail("the role is above the caller's own")) }
}

async fn keep_an_owner(tx: &Tx, workspace: WorkspaceId, leaving: AccountId) -> Result<(), Problem> {
    if store::member::has_other_owner(tx, workspace, leaving).await? {
        Ok(())
    } else {
        Err(Problem::new(Code::LastOwner))
    }
}

/// Writes what was done to a member, and which invites were taken back because of it.
async fn log<P: Needs>(
    tx: &Tx,
    platform: &Platform,
    member: &Member<P>,
    origin: &Origin,
    act: AuditEntry,
    withdrawn: Vec<Withdrawn>,
    reason: &str,
) -> Result<(), Problem> {
    let withdrawn = withdrawn.into_iter().map(|invite| invite.audit_entry(reason));
    let acts: Vec<AuditEntry> = [act].into_iter().chain(withdrawn).collect();
    append(tx, platform, member.workspace, &origin.by(member.actor()), &acts).await
}

/// Writes down, in a transaction of its own, that a member wanted more than their role allows; gives the answer back.
pub async fn note_refusal<T, P>(
    platform: &Platform,
    member: &Member<P>,
    origin: &Origin,
    object: AccountId,
    details: Value,
    answer: Result<T, Problem>,
) -> Result<T, Problem> {
    if answer.as_ref().is_err_and(|problem| problem.is(Code::Forbidden)) {
        let tx = platform.db.begin().await?;
        let act = AuditEntry::new(Action::MemberRefused, object.0, details);
        append(&tx, platform, member.workspace, &origin.by(member.actor()), &[act]).await?;
        tx.commit().await?;
    }
    answer
}

async fn append(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    by: &ActorContext,
    acts: &[AuditEntry],
) -> Result<(), Problem> {
    Ok(activity::append(tx, &platform.audit_keys, workspace, by, acts).await?)
}
