//! Sessions and tokens that are over, and accounts whose grace is over.

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

/// How long a list still shows an API token that has expired.
const SHOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Forgets sessions, API tokens, links in mails and admissions that are over.
pub(super) async fn credentials(cx: &Context) -> store::Result<()> {
    store::session::forget_expired(&cx.db).await?;
    store::mail::forget_expired(&cx.db).await?;
    store::admission::forget_expired(&cx.db).await?;
    store::api_token::forget_expired(&cx.db, SHOWN).await.map(drop)
}

/// Erases accounts that were deleted long enough ago, one transaction each.
pub(super) async fn erase(cx: &Context) -> store::Result<()> {
    loop {
        let tx = cx.db.begin().await?;
        let Some(account) = store::account::lock_due_for_erasure(&tx).await? else { return Ok(()) };
        let by = ActorContext::system();
        for workspace in store::succession::workspaces(&tx, account).await? {
            // Under the lock: who belongs to it was read before.
            if store::workspace::lock(&tx, workspace).await? {
                let acts = leave(&tx, workspace, account).await?;
                activity::append(&tx, &cx.audit_keys, workspace, &by, &acts).await?;
            }
        }
        store::account::erase(&tx, account).await?;
        let act = AuditEntry::new(Action::AccountErased, account.0, json!({}));
        activity::append(&tx, &cx.audit_keys, activity::ACCOUNT_CHAIN, &by, &[act]).await?;
        tx.commit().await?;
        tracing::info!(account.id = %account, "erased an account");
    }
}

/// Removes the account from a locked workspace and applies its succession. Returns the entries for the activity log.
async fn leave(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> store::Result<Vec<AuditEntry>> {
    const REASON: &str = "erased";
    let withdrawn = store::invite::withdraw_closed(tx, workspace, account).await?;
    let mut acts: Vec<AuditEntry> = withdrawn.into_iter().map(|invite| invite.audit_entry(REASON)).collect();
    let Some((role, succession)) = store::succession::decide(tx, workspace, account).await? else { return Ok(acts) };
    match succession {
        Succession::Keep => {}
        Succession::Transfer(successor) => {
            store::member::set_role(tx, workspace, successor, Role::Owner).await?;
            acts.push(AuditEntry::new(Action::WorkspaceTransferred, workspace.0, json!({ "accountId": successor })));
            let details = json!({ "from": Role::Admin.name(), "to": Role::Owner.name() });
            acts.push(AuditEntry::new(Action::MemberRoleChanged, successor.0, details));
        }
        Succession::Delete => {
            let withdrawn = store::workspace::delete(tx, workspace).await?;
            acts.push(AuditEntry::new(Action::WorkspaceDeleted, workspace.0, json!({ "reason": REASON })));
            acts.extend(withdrawn.into_iter().map(|invite| invite.audit_entry("workspace_deleted")));
            return Ok(acts);
        }
    }
    let details = json!({ "role": role.name(), "reason": REASON });
    acts.push(AuditEntry::new(Action::MemberLeft, account.0, details));
    Ok(acts)
}
