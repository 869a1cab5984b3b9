//! `nvisy-api quota`: an operator's word on how much one workspace may use.

use std::collections::HashMap;

use nvisy_shared::{
    config::Config,
    domain::{activity::Action, quota::Resource},
    id::WorkspaceId,
    store,
};
use uuid::Uuid;

use super::operator::{Operation, OperatorError};

/// Why the quota could not be set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum QuotaError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("there is no workspace {0}")]
    NoWorkspace(Uuid),
}

/// Sets what is named and takes back what is not; from the next upload on.
///
/// # Errors
/// When key or database cannot be used, or there is no such workspace.
pub async fn quota(config: &Config, workspace: Uuid, amounts: &HashMap<Resource, i64>) -> Result<(), QuotaError> {
    let operation = Operation::begin(config).await?;
    let id = WorkspaceId(workspace);
    let set = store::usage::set_quota(&operation.tx, id, |resource| amounts.get(&resource).copied()).await;
    if !set.map_err(OperatorError::from)? {
        return Err(QuotaError::NoWorkspace(workspace));
    }
    let details = amounts.iter().map(|(resource, amount)| (resource.name().to_owned(), (*amount).into())).collect();
    Ok(operation.write_down(id, Action::WorkspaceQuotaSet, workspace, details).await?)
}
