//! `nvisy-api adopt-signing-keys`: makes the configured signing keys those of the database.

use nvisy_shared::{
    config::Config,
    domain::activity::Action,
    store::{self, activity::ACCOUNT_CHAIN},
};
use serde_json::Map;
use uuid::Uuid;

use super::operator::{OperatorEntry, OperatorError, operator_change};
use crate::auth::jwt::{KeyError, SigningKeys};

/// Why the keys were not adopted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum AdoptError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl From<store::Error> for AdoptError {
    fn from(error: store::Error) -> Self {
        Self::Operator(error.into())
    }
}

/// Makes the configured pair that of the database, and returns its fingerprint. Access tokens of the previous pair become
/// invalid.
///
/// # Errors
/// When keys or database cannot be used.
pub async fn adopt_signing_keys(config: &Config) -> Result<String, AdoptError> {
    let keys = SigningKeys::load(&config.auth)?;
    operator_change(config, ACCOUNT_CHAIN, async |tx, _| {
        let previous = store::installation::replace_signing_key(tx, keys.id()).await?;
        let details = [("from", previous), ("to", Some(keys.id().to_owned()))];
        let details: Map<_, _> = details.into_iter().map(|(name, id)| (name.to_owned(), id.into())).collect();
        let entry = OperatorEntry { action: Action::InstallationKeysAdopted, object: Uuid::nil(), details };
        Ok::<_, AdoptError>((keys.id().to_owned(), entry))
    })
    .await
}
