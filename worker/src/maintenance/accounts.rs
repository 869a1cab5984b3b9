//! Expired sessions and tokens, and deleted accounts whose grace period has ended.

use std::time::Duration;

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    store::{
        self, TransactionTrait, Tx,
        activity::{self, ActorContext, AuditEntry},
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

/// Erases deleted accounts whose grace period has ended, one transaction each.
pub(super) async fn erase(cx: &Context) -> store::Result<()> {
    loop {
        let tx = cx.db.begin().await?;
        let Some(account) = store::account::lock_due_for_erasure(&tx).await? else { return Ok(()) };
        let context = ActorContext::system();
        for workspace in store::succession::workspaces(&tx, account).await? {
            // The members are read again under the lock: they may have changed since.
            if store::workspace::lock(&tx, workspace).await? {
                let entries = leave(&tx, workspace, account).await?;
                activity::append(&tx, &cx.audit_keys, workspace, &context, &entries).await?;
            }
        }
        store::account::erase(&tx, account).await?;
        let entry = AuditEntry::new(Action::AccountErased, account.0, json!({}));
        activity::append(&tx, &cx.audit_keys, activity::ACCOUNT_CHAIN, &context, &[entry]).await?;
        tx.commit().await?;
        tracing::info!(account.id = %account, "erased an account");
    }
}

/// Removes the account from a locked workspace: an owner's workspace goes to a successor, or is deleted. Returns the entries for
/// the activity log.
async fn leave(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> store::Result<Vec<AuditEntry>> {
    const REASON: &str = "erased";
    let withdrawn = store::invite::withdraw_of_closed_account(tx, workspace, account).await?;
    let mut entries: Vec<AuditEntry> = withdrawn.into_iter().map(|invite| invite.audit_entry(REASON)).collect();
    let Some((role, succession)) = store::succession::decide(tx, workspace, account).await? else { return Ok(entries) };
    match succession {
        Succession::Keep => {}
        Succession::Transfer(successor) => {
            store::member::set_role(tx, workspace, successor, Role::Owner).await?;
            entries.push(AuditEntry::new(Action::WorkspaceTransferred, workspace.0, json!({ "accountId": successor })));
            let details = json!({ "from": Role::Admin.name(), "to": Role::Owner.name() });
            entries.push(AuditEntry::new(Action::MemberRoleChanged, successor.0, details));
        }
        Succession::Delete => {
            let withdrawn = store::workspace::delete(tx, workspace).await?;
            entries.push(AuditEntry::new(Action::WorkspaceDeleted, workspace.0, json!({ "reason": REASON })));
            entries.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("workspace_deleted")));
            return Ok(entries);
        }
    }
    let details = json!({ "role": role.name(), "reason": REASON });
    entries.push(AuditEntry::new(Action::MemberLeft, account.0, details));
    Ok(entries)
}
