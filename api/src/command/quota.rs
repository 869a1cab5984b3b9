//! `nvisy-api quota`: an operator's word on how much one workspace may use.

use std::collections::HashMap;

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, seal::Seals},
    domain::{activity::Action, quota::Resource},
    id::WorkspaceId,
    store::{
        self, TransactionTrait,
        activity::{self, Act, By},
    },
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Why the quota could not be set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum QuotaError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error("the quota cannot be written (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
    #[error("there is no workspace {0}")]
    NoWorkspace(Uuid),
}

/// Sets what is named and takes back what is not; from the next upload on.
///
/// # Errors
/// When key or database cannot be used, or there is no such workspace.
pub async fn quota(config: &Config, workspace: Uuid, amounts: &HashMap<Resource, i64>) -> Result<(), QuotaError> {
    let seals = Seals::new(Keyring::new(MasterKey::read(&config.encryption.key_file)?));
    let db = store::connect(&config.database).await?;
    let tx = db.begin().await?;
    let id = WorkspaceId(workspace);
    if !store::usage::set_quota(&tx, id, |resource| amounts.get(&resource).copied()).await? {
        return Err(QuotaError::NoWorkspace(workspace));
    }
    let details: Map<String, Value> =
        amounts.iter().map(|(resource, amount)| (resource.name().to_owned(), (*amount).into())).collect();
    let act = Act::new(Action::WorkspaceQuotaSet, workspace, details.into());
    activity::append(&tx, &seals, id, &By::system(), &[act]).await?;
    tx.commit().await?;
    db.close().await?;
    Ok(())
}
