//! `nvisy-api suspend` and `nvisy-api resume`: an operator's word on whether an account may do anything.

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, seal::Seals},
    domain::{
        account::{AccountState, normalise_email},
        activity::Action,
    },
    id::AccountId,
    store::{
        self, TransactionTrait,
        activity::{self, Act, By},
    },
};
use serde_json::json;

/// Why the account stays as it is.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SuspendError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error("the account cannot be changed (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
    #[error("no account has this address or id")]
    NoAccount,
    #[error("the account {0} is that already")]
    NothingToChange(AccountId),
}

/// Suspends the account with this address or id, or lets it go on; says which one it is. It takes effect at its next
/// request. Sessions, API tokens and invites stay, so that a mistake does no harm.
///
/// # Errors
/// When key or database cannot be used, there is no such account, or there is nothing to change.
pub async fn suspend(config: &Config, account: &str, state: AccountState) -> Result<AccountId, SuspendError> {
    let seals = Seals::new(Keyring::new(MasterKey::read(&config.encryption.key_file)?));
    let db = store::connect(&config.database).await?;
    let tx = db.begin().await?;
    let found = match account.parse() {
        Ok(id) => store::account::find(&tx, AccountId(id)).await?,
        Err(_) => store::account::by_email(&tx, &normalise_email(account)).await?,
    };
    let id = found.ok_or(SuspendError::NoAccount)?.id;
    if !store::account::set_state(&tx, id, state).await? {
        return Err(SuspendError::NothingToChange(id));
    }
    let action = match state {
        AccountState::Suspended => Action::AccountSuspended,
        AccountState::Active => Action::AccountResumed,
    };
    activity::append(&tx, &seals, activity::ACCOUNTS, &By::system(), &[Act::new(action, id.0, json!({}))]).await?;
    tx.commit().await?;
    db.close().await?;
    Ok(id)
}
