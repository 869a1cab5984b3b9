//! Entries of the activity log that concern accounts.

use nvisy_shared::{
    domain::activity::Action,
    store::{
        Tx,
        activity::{self, ActorContext, AuditEntry},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::{problem::Problem, state::State};

/// Writes what was done to an account or one of its things. From here to the end of the transaction the log of accounts
/// is locked: it comes last.
pub async fn note(state: &State, tx: &Tx, by: &ActorContext, action: Action, object: Uuid) -> Result<(), Problem> {
    write(state, tx, by, &[AuditEntry::new(action, object, json!({}))]).await
}

/// As [`note`], of several acts, or with details.
pub async fn write(state: &State, tx: &Tx, by: &ActorContext, acts: &[AuditEntry]) -> Result<(), Problem> {
    Ok(activity::append(tx, &state.platform.audit_keys, activity::ACCOUNT_CHAIN, by, acts).await?)
}
