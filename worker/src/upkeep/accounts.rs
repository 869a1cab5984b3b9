//! Sessions and tokens that are over, and accounts whose grace is over.

use std::time::Duration;

use nvisy_shared::{
    domain::{activity::Action, role::Role},
    id::{AccountId, WorkspaceId},
    store::{
        self, TransactionTrait, Tx,
        activity::{self, Act, By},
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
        let by = By::system();
        for workspace in store::succession::workspaces(&tx, account).await? {
            // Under the lock: who belongs to it was read before.
            if store::workspace::lock(&tx, workspace).await? {
                let acts = leave(&tx, workspace, account).await?;
                activity::append(&tx, &cx.seals, workspace, &by, &acts).await?;
            }
        }
        store::account::erase(&tx, account).await?;
        let act = Act::new(Action::AccountErased, account.0, json!({}));
        activity::append(&tx, &cx.seals, activity::ACCOUNTS, &by, &[act]).await?;
        tx.commit().await?;
        tracing::info!(account.id = %account, "erased an account");
    }
}

/// Removes the account from a locked workspace and applies its succession. Returns the entries for the activity log.
async fn leave(tx: &Tx, workspace: WorkspaceId, account: AccountId) -> store::Result<Vec<Act>> {
    const REASON: &str = "erased";
    let withdrawn = store::invite::withdraw_closed(tx, workspace, account).await?;
    let mut acts: Vec<Act> = withdrawn.into_iter().map(|invite| invite.act(REASON)).collect();
    let Some((role, succession)) = store::succession::decide(tx, workspace, account).await? else { return Ok(acts) };
    match succession {
        Succession::Keep => {}
        Succession::Transfer(successor) => {
            store::member::set_role(tx, workspace, successor, Role::Owner).await?;
            acts.push(Act::new(Action::WorkspaceTransferred, workspace.0, json!({ "accountId": successor })));
            let details = json!({ "from": Role::Admin.name(), "to": Role::Owner.name() });
            acts.push(Act::new(Action::MemberRoleChanged, successor.0, details));
        }
        Succession::Delete => {
            let withdrawn = store::workspace::delete(tx, workspace).await?;
            acts.push(Act::new(Action::WorkspaceDeleted, workspace.0, json!({ "reason": REASON })));
            acts.extend(withdrawn.into_iter().map(|invite| invite.act("workspace_deleted")));
            return Ok(acts);
        }
    }
    let details = json!({ "role": role.name(), "reason": REASON });
    acts.push(Act::new(Action::MemberLeft, account.0, details));
    Ok(acts)
}
