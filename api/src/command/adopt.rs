//! `nvisy-api adopt-signing-keys`: tells the database that the present pair is its own from now on.

use nvisy_shared::{config::Config, store};

use crate::auth::token::{KeyError, Keys};

/// Why the pair is not adopted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the causes say it")]
pub enum AdoptError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the database cannot be told")]
    Store(#[from] store::Error),
}

/// Makes the configured pair the one of the database; its fingerprint. Access tokens of the former pair are worthless.
///
/// # Errors
/// When the keys cannot be used or the database not be reached.
pub async fn adopt_signing_keys(config: &Config) -> Result<String, AdoptError> {
    let keys = Keys::load(&config.auth)?;
    let db = store::connect(&config.database).await?;
    store::installation::adopt_signing_key(&db, keys.id()).await?;
    Ok(keys.id().to_owned())
}
