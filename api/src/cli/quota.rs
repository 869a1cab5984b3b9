//! `nvisy-api quota`: sets the quotas of one workspace.

use std::collections::HashMap;

use nvisy_shared::{
    config::Config,
    domain::{activity::Action, quota::Resource},
    id::WorkspaceId,
    store,
};
use uuid::Uuid;

use super::operator::{OperatorChange, OperatorError};

/// Why the quotas could not be set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum QuotaError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("there is no workspace {0}")]
    NoWorkspace(Uuid),
}

/// Sets the named quotas and removes the others, effective from the next upload.
///
/// # Errors
/// When key or database cannot be used, or there is no such workspace.
pub async fn quota(config: &Config, workspace: Uuid, amounts: &HashMap<Resource, i64>) -> Result<(), QuotaError> {
    let change = OperatorChange::begin(config).await?;
    let id = WorkspaceId(workspace);
    let set = store::usage::set_quota(&change.tx, id, |resource| amounts.get(&resource).copied()).await;
    if !set.map_err(OperatorError::from)? {
        return Err(QuotaError::NoWorkspace(workspace));
    }
    let details = amounts.iter().map(|(resource, amount)| (resource.name().to_owned(), (*amount).into())).collect();
    Ok(change.commit(id, Action::WorkspaceQuotaSet, workspace, details).await?)
}
