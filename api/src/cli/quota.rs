//! `nvisy-api quota`: sets the quotas of one workspace.

use std::collections::HashMap;

use nvisy_shared::{
    config::Config,
    domain::{activity::Action, quota::Resource},
    id::WorkspaceId,
    store,
};
use uuid::Uuid;

use super::operator::{OperatorEntry, OperatorError, operator_change};

/// Why the quotas could not be set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum QuotaError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("there is no workspace {0}")]
    NoWorkspace(Uuid),
}

impl From<store::Error> for QuotaError {
    fn from(error: store::Error) -> Self {
        Self::Operator(error.into())
    }
}

/// Sets the named quotas and removes the others, effective from the next upload.
///
/// # Errors
/// When key or database cannot be used, or there is no such workspace.
pub async fn quota(config: &Config, workspace: Uuid, amounts: &HashMap<Resource, i64>) -> Result<(), QuotaError> {
    let id = WorkspaceId(workspace);
    operator_change(config, id, async |tx, _| {
        if !store::usage::set_quota(tx, id, |resource| amounts.get(&resource).copied()).await? {
            return Err(QuotaError::NoWorkspace(workspace));
        }
        let details = amounts.iter().map(|(resource, amount)| (resource.name().to_owned(), (*amount).into())).collect();
        Ok(((), OperatorEntry { action: Action::WorkspaceQuotaSet, object: workspace, details }))
    })
    .await
}
