//! `nvisy-api suspend` and `nvisy-api resume`.

use nvisy_shared::{
    config::Config,
    domain::{
        account::{AccountState, normalise_email},
        activity::Action,
    },
    id::AccountId,
    store::{self, activity::ACCOUNT_CHAIN},
};
use serde_json::Map;

use super::operator::{OperatorEntry, OperatorError, operator_change};

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

impl From<store::Error> for SuspendError {
    fn from(error: store::Error) -> Self {
        Self::Operator(error.into())
    }
}

/// Suspends or resumes the account with this address or id, and returns its id. Takes effect at its next request. Sessions,
/// API tokens and invites are kept, so that a mistake does no harm, but rejected during the suspension.
///
/// # Errors
/// When key or database cannot be used, there is no such account, or there is nothing to change.
pub async fn suspend(config: &Config, account: &str, state: AccountState) -> Result<AccountId, SuspendError> {
    let action = match state {
        AccountState::Suspended => Action::AccountSuspended,
        AccountState::Active => Action::AccountResumed,
    };
    operator_change(config, ACCOUNT_CHAIN, async |tx, _| {
        let found = match account.parse() {
            Ok(id) => store::account::find(tx, AccountId(id)).await?,
            Err(_) => store::account::by_email(tx, &normalise_email(account)).await?,
        };
        let id = found.ok_or(SuspendError::NoAccount)?.id;
        if !store::account::set_state(tx, id, state).await? {
            return Err(SuspendError::NothingToChange(id));
        }
        Ok((id, OperatorEntry { action, object: id.0, details: Map::new() }))
    })
    .await
}
