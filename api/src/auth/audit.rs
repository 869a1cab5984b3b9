//! Entries of the activity log.

use nvisy_shared::{
    domain::activity::{Action, Actor},
    id::WorkspaceId,
    platform::Platform,
    store::{
        TransactionTrait, Tx,
        activity::{self, ActorContext, AuditEntry},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    http::client_info::ClientInfo,
    problem::{Code, Problem},
};

/// Records a change of an account or of its sessions, tokens and factors. It locks the accounts' log to the end of the transaction, so it comes
/// last.
pub async fn record(
    platform: &Platform,
    tx: &Tx,
    context: &ActorContext,
    action: Action,
    object: Uuid,
) -> Result<(), Problem> {
    record_all(platform, tx, context, &[AuditEntry::new(action, object, json!({}))]).await
}

/// As [`record`], for several entries, or entries with details.
pub async fn record_all(
    platform: &Platform,
    tx: &Tx,
    context: &ActorContext,
    entries: &[AuditEntry],
) -> Result<(), Problem> {
    Ok(activity::append(tx, &platform.audit_keys, activity::ACCOUNT_CHAIN, context, entries).await?)
}

/// If the result is 403, records in a transaction of its own that a member attempted more than their role allows.
pub async fn record_denied<T>(
    platform: &Platform,
    workspace: WorkspaceId,
    actor: Actor,
    client: &ClientInfo,
    entry: AuditEntry,
    result: Result<T, Problem>,
) -> Result<T, Problem> {
    if result.as_ref().is_err_and(|problem| problem.is(Code::Forbidden)) {
        let tx = platform.db.begin().await?;
        activity::append(&tx, &platform.audit_keys, workspace, &client.actor_context(actor), &[entry]).await?;
        tx.commit().await?;
    }
    result
}
