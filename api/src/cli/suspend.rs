//! `nvisy-api suspend` and `nvisy-api resume`: an operator's word on whether an account may do anything.

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

use super::operator::{Operation, OperatorError};

/// Why the account stays as it is.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SuspendError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("no account has this address or id")]
    NoAccount,
    #[error("the account {0} is that already")]
    NothingToChange(AccountId),
}

/// Suspends the account with this address or id, or lets it go on; says which one it is. It takes effect at its next
/// request. Sessions, API tokens and invites stay, so that a mistake does no harm; none of them is good for anything
/// meanwhile, and nobody comes in by such an invite.
///
/// # Errors
/// When key or database cannot be used, there is no such account, or there is nothing to change.
pub async fn suspend(config: &Config, account: &str, state: AccountState) -> Result<AccountId, SuspendError> {
    let operation = Operation::begin(config).await?;
    let found = match account.parse() {
        Ok(id) => store::account::find(&operation.tx, AccountId(id)).await,
        Err(_) => store::account::by_email(&operation.tx, &normalise_email(account)).await,
    };
    let id = found.map_err(OperatorError::from)?.ok_or(SuspendError::NoAccount)?.id;
    let changed = store::account::set_state(&operation.tx, id, state).await;
    if !changed.map_err(OperatorError::from)? {
        return Err(SuspendError::NothingToChange(id));
    }
    let action = match state {
        AccountState::Suspended => Action::AccountSuspended,
        AccountState::Active => Action::AccountResumed,
    };
    operation.write_down(activity::ACCOUNT_CHAIN, action, id.0, Map::new()).await?;
    Ok(id)
}
