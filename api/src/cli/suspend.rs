//! `nvisy-api suspend` and `nvisy-api resume`.

use nvisy_shared::{
    config::Config,
    domain::{
        account::{AccountState, normalise_email},
        activity::Action,
    },
    id::AccountId,
    store::{self, activity},
};
use serde_json::Map;

use super::operator::{OperatorChange, OperatorError};

/// Why the account was not changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum SuspendError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("no account has this address or id")]
    NoAccount,
    #[error("the account {0} is already in that state")]
    NothingToChange(AccountId),
}

/// Suspends or resumes the account with this address or id, and returns its id. Takes effect at its next request. Sessions,
/// API tokens and invites are kept, so that a mistake does no harm, but rejected during the suspension.
///
/// # Errors
/// When key or database cannot be used, there is no such account, or there is nothing to change.
pub async fn suspend(config: &Config, account: &str, state: AccountState) -> Result<AccountId, SuspendError> {
    let change = OperatorChange::begin(config).await?;
    let found = match account.parse() {
        Ok(id) => store::account::find(&change.tx, AccountId(id)).await,
        Err(_) => store::account::by_email(&change.tx, &normalise_email(account)).await,
    };
    let id = found.map_err(OperatorError::from)?.ok_or(SuspendError::NoAccount)?.id;
    let changed = store::account::set_state(&change.tx, id, state).await;
    if !changed.map_err(OperatorError::from)? {
        return Err(SuspendError::NothingToChange(id));
    }
    let action = match state {
        AccountState::Suspended => Action::AccountSuspended,
        AccountState::Active => Action::AccountResumed,
    };
    change.commit(activity::ACCOUNT_CHAIN, action, id.0, Map::new()).await?;
    Ok(id)
}
