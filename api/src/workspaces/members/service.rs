//! Changing, removing and transferring members, under the workspace's lock: of two owners who leave at once, the second
//! one is rejected.

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    platform::Platform,
    store::{
        self, Tx, activity::AuditEntry, change::Change, invite::WithdrawnInvite, member::MemberProfile,
        workspace::Workspace,
    },
};
use serde_json::json;

use crate::{
    auth::member::{LeaveWorkspace, ManageMembers, Member, RequiredPermission, TransferWorkspace, require_not_above},
    http::{client_info::ClientInfo, extract::invalid_field},
    problem::{Code, Problem},
};

pub async fn change(
    platform: &Platform,
    member: &Member<ManageMembers>,
    client: &ClientInfo,
    account: AccountId,
    role: Role,
) -> Result<MemberProfile, Problem> {
    let changes = member.changes(platform, client);
    let changed = changes.run(async |change| change_role(change, member, account, role).await).await;
    let attempt = AuditEntry::new(Action::MemberRefused, account, json!({ "role": role.name() }));
    member.record_denied(platform, client, attempt, changed).await
}

async fn change_role(
    change: &mut Change,
    member: &Member<ManageMembers>,
    account: AccountId,
    role: Role,
) -> Result<MemberProfile, Problem> {
    let own = member.lock(change).await?;
    let before = find_manageable(change, member, account, own).await?;
    require_not_above(role, own)?;
    if before.role == Role::Owner && role != Role::Owner {
        require_other_owner(change, member.workspace, account).await?;
    }
    if before.role != role {
        let withdrawn = store::member::set_role(change, member.workspace, account, role).await?;
        let details = json!({ "from": before.role.name(), "to": role.name() });
        change.audit_with(Action::MemberRoleChanged, account, details);
        audit_withdrawn(change, withdrawn, "role_changed");
    }
    Ok(MemberProfile { role, ..before })
}

pub async fn remove(
    platform: &Platform,
    member: &Member<ManageMembers>,
    client: &ClientInfo,
    account: AccountId,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    let removed = changes.run(async |change| {
        let own = member.lock(change).await?;
        let before = find_manageable(change, member, account, own).await?;
        if before.role == Role::Owner {
            require_other_owner(change, member.workspace, account).await?;
        }
        let withdrawn = store::member::remove(change, member.workspace, account).await?;
        change.audit_with(Action::MemberRemoved, account, json!({ "role": before.role.name() }));
        audit_withdrawn(change, withdrawn, "removed");
        Ok(())
    });
    let attempt = AuditEntry::new(Action::MemberRefused, account, json!({ "removes": true }));
    member.record_denied(platform, client, attempt, removed.await).await
}

pub async fn leave(platform: &Platform, member: &Member<LeaveWorkspace>, client: &ClientInfo) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let own = member.lock(change).await?;
            if own == Role::Owner {
                require_other_owner(change, member.workspace, member.account).await?;
            }
            let withdrawn = store::member::remove(change, member.workspace, member.account).await?;
            change.audit_with(Action::MemberLeft, member.account, json!({ "role": own.name() }));
            audit_withdrawn(change, withdrawn, "left");
            Ok(())
        })
        .await
}

pub async fn transfer(
    platform: &Platform,
    member: &Member<TransferWorkspace>,
    client: &ClientInfo,
    account: AccountId,
) -> Result<Workspace, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let own = member.lock(change).await?;
            if account == member.account {
                return Err(invalid_field("accountId", "must not be the caller's own"));
            }
            let former = store::member::role(change, member.workspace, account).await?;
            let former = former.ok_or_else(Problem::not_found)?;
            change.audit_with(Action::WorkspaceTransferred, member.workspace, json!({ "accountId": account }));
            store::member::set_role(change, member.workspace, account, Role::Owner).await?;
            let details = json!({ "from": former.name(), "to": Role::Owner.name() });
            change.audit_with(Action::MemberRoleChanged, account, details);
            let withdrawn = store::member::set_role(change, member.workspace, member.account, Role::Admin).await?;
            let details = json!({ "from": own.name(), "to": Role::Admin.name() });
            change.audit_with(Action::MemberRoleChanged, member.account, details);
            audit_withdrawn(change, withdrawn, "role_changed");
            let workspace = store::workspace::find(change.tx(), member.workspace, member.account).await?;
            workspace.ok_or_else(Problem::not_found)
        })
        .await
}

/// The member, if their role is not above the caller's own.
async fn find_manageable<P: RequiredPermission>(
    tx: &Tx,
    member: &Member<P>,
    account: AccountId,
    own: Role,
) -> Result<MemberProfile, Problem> {
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

/// Records the invites that a change of a member withdrew.
fn audit_withdrawn(change: &mut Change, withdrawn: Vec<WithdrawnInvite>, reason: &str) {
    for invite in withdrawn {
        change.audit_entry(invite.audit_entry(reason));
    }
}
