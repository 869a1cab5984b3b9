//! Changing, removing and transferring members, under the workspace's lock: of two owners who leave at once, the second
//! one is rejected.

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{
        self, TransactionTrait, Tx,
        activity::{self, ActorContext, AuditEntry},
        invite::WithdrawnInvite,
    },
};
use serde_json::json;

use crate::{
    auth::{
        audit,
        member::{LeaveWorkspace, ManageMembers, Member, RequiredPermission, TransferWorkspace, require_not_above},
    },
    http::{client_info::ClientInfo, extract::invalid_field},
    problem::{Code, Problem},
};

pub async fn change(
    platform: &Platform,
    member: &Member<ManageMembers>,
    client: &ClientInfo,
    account: AccountId,
    role: Role,
) -> Result<store::member::MemberProfile, Problem> {
    let changed = change_role(platform, member, client, account, role).await;
    let attempt = AuditEntry::new(Action::MemberRefused, account.0, json!({ "role": role.name() }));
    audit::record_denied(platform, member.workspace, member.actor(), client, attempt, changed).await
}

async fn change_role(
    platform: &Platform,
    member: &Member<ManageMembers>,
    client: &ClientInfo,
    account: AccountId,
    role: Role,
) -> Result<store::member::MemberProfile, Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    let before = find_manageable(&tx, member, account, own).await?;
    require_not_above(role, own)?;
    if before.role == Role::Owner && role != Role::Owner {
        require_other_owner(&tx, member.workspace, account).await?;
    }
    if before.role != role {
        let withdrawn = store::member::set_role(&tx, member.workspace, account, role).await?;
        let details = json!({ "from": before.role.name(), "to": role.name() });
        let entry = AuditEntry::new(Action::MemberRoleChanged, account.0, details);
        log(&tx, platform, member, client, entry, withdrawn, "role_changed").await?;
    }
    tx.commit().await?;
    Ok(store::member::MemberProfile { role, ..before })
}

pub async fn remove(
    platform: &Platform,
    member: &Member<ManageMembers>,
    client: &ClientInfo,
    account: AccountId,
) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    let before = find_manageable(&tx, member, account, own).await?;
    if before.role == Role::Owner {
        require_other_owner(&tx, member.workspace, account).await?;
    }
    let withdrawn = store::member::remove(&tx, member.workspace, account).await?;
    let entry = AuditEntry::new(Action::MemberRemoved, account.0, json!({ "role": before.role.name() }));
    log(&tx, platform, member, client, entry, withdrawn, "removed").await?;
    tx.commit().await?;
    Ok(())
}

pub async fn leave(platform: &Platform, member: &Member<LeaveWorkspace>, client: &ClientInfo) -> Result<(), Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    if own == Role::Owner {
        require_other_owner(&tx, member.workspace, member.account).await?;
    }
    let withdrawn = store::member::remove(&tx, member.workspace, member.account).await?;
    let entry = AuditEntry::new(Action::MemberLeft, member.account.0, json!({ "role": own.name() }));
    log(&tx, platform, member, client, entry, withdrawn, "left").await?;
    tx.commit().await?;
    Ok(())
}

pub async fn transfer(
    platform: &Platform,
    member: &Member<TransferWorkspace>,
    client: &ClientInfo,
    account: AccountId,
) -> Result<store::workspace::Workspace, Problem> {
    let tx = platform.db.begin().await?;
    let own = member.lock(&tx).await?;
    if account == member.account {
        return Err(invalid_field("accountId", "must not be the caller's own"));
    }
    let former = store::member::role(&tx, member.workspace, account).await?;
    let former = former.ok_or_else(Problem::not_found)?;
    store::member::set_role(&tx, member.workspace, account, Role::Owner).await?;
    let withdrawn = store::member::set_role(&tx, member.workspace, member.account, Role::Admin).await?;
    let workspace = store::workspace::find(&tx, member.workspace, member.account).await?;
    let context = client.actor_context(member.actor());
    let changed = |account: AccountId, from: Role, to: Role| {
        AuditEntry::new(Action::MemberRoleChanged, account.0, json!({ "from": from.name(), "to": to.name() }))
    };
    let mut entries = vec![
        AuditEntry::new(Action::WorkspaceTransferred, member.workspace.0, json!({ "accountId": account })),
        changed(account, former, Role::Owner),
        changed(member.account, own, Role::Admin),
    ];
    entries.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("role_changed")));
    append(&tx, platform, member.workspace, &context, &entries).await?;
    tx.commit().await?;
    workspace.ok_or_else(Problem::not_found)
}

/// The member, if their role is not above the caller's own.
async fn find_manageable<P: RequiredPermission>(
    tx: &Tx,
    member: &Member<P>,
    account: AccountId,
    own: Role,
) -> Result<store::member::MemberProfile, Problem> {
    let found = store::member::find(tx, member.workspace, account).await?.ok_or_else(Problem::not_found)?;
    require_not_above(found.role, own)?;
    Ok(found)
}

async fn require_other_owner(tx: &Tx, workspace: WorkspaceId, leaving: AccountId) -> Result<(), Problem> {
    if store::member::has_other_owner(tx, workspace, leaving).await? {
        Ok(())
    } else {
        Err(Problem::new(Code::LastOwner))
    }
}

/// Records a change of a member, and the invites that it withdrew.
async fn log<P: RequiredPermission>(
    tx: &Tx,
    platform: &Platform,
    member: &Member<P>,
    client: &ClientInfo,
    entry: AuditEntry,
    withdrawn: Vec<WithdrawnInvite>,
    reason: &str,
) -> Result<(), Problem> {
    let withdrawn = withdrawn.into_iter().map(|invite| invite.audit_entry(reason));
    let entries: Vec<AuditEntry> = [entry].into_iter().chain(withdrawn).collect();
    append(tx, platform, member.workspace, &client.actor_context(member.actor()), &entries).await
}

async fn append(
    tx: &Tx,
    platform: &Platform,
    workspace: WorkspaceId,
    context: &ActorContext,
    entries: &[AuditEntry],
) -> Result<(), Problem> {
    Ok(activity::append(tx, &platform.audit_keys, workspace, context, entries).await?)
}
