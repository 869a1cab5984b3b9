//! Expired sessions and tokens, and deleted accounts whose grace period has ended.

use std::time::Duration;

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    store::{
        self,
        activity::{ACCOUNT_CHAIN, ActorContext, AuditEntry},
        change::{Change, ChangeScope},
        succession::Succession,
    },
};
use serde_json::json;

use crate::context::Context;

/// How long lists still show an API token that has expired.
const EXPIRED_TOKEN_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Deletes expired sessions, API tokens, links in mails and sign-up permissions.
pub(super) async fn delete_expired_credentials(cx: &Context) -> store::Result<()> {
    store::session::delete_expired(&cx.db).await?;
    store::mail::delete_expired(&cx.db).await?;
    store::sign_up_permit::delete_expired(&cx.db).await?;
    store::api_token::delete_expired(&cx.db, EXPIRED_TOKEN_RETENTION).await.map(drop)
}

/// Erases deleted accounts whose grace period has ended, one change each.
pub(super) async fn erase(cx: &Context) -> store::Result<()> {
    let changes = ChangeScope::new(&cx.db, &cx.audit_keys, ACCOUNT_CHAIN, ActorContext::system());
    while let Some(account) = store::account::find_due_for_erasure(&cx.db).await? {
        if changes.run_send(|| async |change| erase_account(change, account).await).await? {
            tracing::info!(account.id = %account, "erased an account");
        }
    }
    Ok(())
}

/// `false`: the account is no longer due, because its owner has logged in or another worker has erased it.
async fn erase_account(change: &mut Change, account: AccountId) -> store::Result<bool> {
    // Workspaces before the account, as always.
    let mut workspaces = Vec::new();
    for workspace in store::succession::workspaces(change, account).await? {
        if store::workspace::lock(change, workspace).await? {
            workspaces.push(workspace);
        }
    }
    if !store::account::lock_due_for_erasure(change, account).await? {
        return Ok(false);
    }
    for workspace in workspaces {
        // The members are read again under the lock: they may have changed since.
        leave(change, workspace, account).await?;
    }
    store::account::erase(change, account).await?;
    change.audit(Action::AccountErased, account);
    Ok(true)
}

/// Removes the account from a locked workspace: an owner's workspace goes to a successor, or is deleted.
async fn leave(change: &mut Change, workspace: WorkspaceId, account: AccountId) -> store::Result<()> {
    const REASON: &str = "erased";
    for invite in store::invite::withdraw_of_closed_account(change, workspace, account).await? {
        change.audit_in(workspace, invite.audit_entry(REASON));
    }
    let Some((role, succession)) = store::succession::decide(change, workspace, account).await? else { return Ok(()) };
    match succession {
        Succession::Keep => {}
        Succession::Transfer(successor) => {
            let details = json!({ "accountId": successor });
            change.audit_in(workspace, AuditEntry::new(Action::WorkspaceTransferred, workspace, details));
            let details = json!({ "from": Role::Admin.name(), "to": Role::Owner.name() });
            change.audit_in(workspace, AuditEntry::new(Action::MemberRoleChanged, successor, details));
            store::member::set_role(change, workspace, successor, Role::Owner).await?;
        }
        Succession::Delete => {
            let details = json!({ "reason": REASON });
            change.audit_in(workspace, AuditEntry::new(Action::WorkspaceDeleted, workspace, details));
            for invite in store::workspace::delete(change, workspace).await? {
                change.audit_in(workspace, invite.audit_entry("workspace_deleted"));
            }
            return Ok(());
        }
    }
    let details = json!({ "role": role.name(), "reason": REASON });
    change.audit_in(workspace, AuditEntry::new(Action::MemberLeft, account, details));
    Ok(())
}
