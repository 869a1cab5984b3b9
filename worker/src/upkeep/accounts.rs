//! Sessions and tokens that are over, and accounts whose grace is over.

use std::time::Duration;

use nvisy_shared::{
    domain::activity::Action,
    store::{
        self, TransactionTrait,
        activity::{self, Act, By},
    },
};
use serde_json::json;

use crate::context::Context;

/// How long a list still shows an API token that has expired.
const SHOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Forgets sessions, API tokens and links in mails that are over.
pub(super) async fn credentials(cx: &Context) -> store::Result<()> {
    store::session::forget_expired(&cx.db).await?;
    store::mail::forget_expired(&cx.db).await?;
    store::api_token::forget_expired(&cx.db, SHOWN).await.map(drop)
}

/// Erases accounts that were deleted long enough ago, one transaction each.
pub(super) async fn erase(cx: &Context) -> store::Result<()> {
    loop {
        let tx = cx.db.begin().await?;
        let Some(account) = store::account::lock_due_for_erasure(&tx).await? else { return Ok(()) };
        let by = By::system();
        for workspace in store::account::own_workspaces(&tx, account).await? {
            if store::workspace::lock(&tx, workspace).await? {
                store::workspace::delete(&tx, workspace).await?;
                let act = Act::new(Action::WorkspaceDeleted, workspace.0, json!({}));
                activity::append(&tx, &cx.seals, workspace, &by, &[act]).await?;
            }
        }
        for (workspace, heir) in store::account::hand_over(&tx, account).await? {
            let act = Act::new(Action::WorkspaceTransferred, workspace.0, json!({ "accountId": heir }));
            activity::append(&tx, &cx.seals, workspace, &by, &[act]).await?;
        }
        store::account::erase(&tx, account).await?;
        let act = Act::new(Action::AccountErased, account.0, json!({}));
        activity::append(&tx, &cx.seals, activity::ACCOUNTS, &by, &[act]).await?;
        tx.commit().await?;
        tracing::info!(account.id = %account, "erased an account");
    }
}
