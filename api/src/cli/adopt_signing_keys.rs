//! `nvisy-api adopt-signing-keys`: tells the database that the present pair is its own from now on.

use nvisy_shared::{
    config::Config,
    domain::activity::Action,
    store::{self, activity},
};
use serde_json::Map;
use uuid::Uuid;

use super::operator::{Operation, OperatorError};
use crate::auth::jwt::{KeyError, SigningKeys};

/// Why the pair is not adopted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the causes say it")]
pub enum AdoptError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

/// Makes the configured pair the one of the database; its fingerprint. Access tokens of the former pair are worthless.
///
/// # Errors
/// When the keys cannot be used or the database not be reached.
pub async fn adopt_signing_keys(config: &Config) -> Result<String, AdoptError> {
    let keys = SigningKeys::load(&config.auth)?;
    let operation = Operation::begin(config).await?;
    let former =
        store::installation::replace_signing_key(&operation.tx, keys.id()).await.map_err(OperatorError::from)?;
    let details = [("from", former), ("to", Some(keys.id().to_owned()))];
    let details: Map<_, _> = details.into_iter().map(|(name, id)| (name.to_owned(), id.into())).collect();
    operation.write_down(activity::ACCOUNT_CHAIN, Action::InstallationKeysAdopted, Uuid::nil(), details).await?;
    Ok(keys.id().to_owned())
}
