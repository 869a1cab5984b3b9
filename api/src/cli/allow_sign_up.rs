//! `nvisy-api allow-sign-up`: lets an address sign up.

use chrono::{SubsecRound, TimeDelta};
use nvisy_shared::{
    clock,
    config::Config,
    crypt::invite_code::{self, InviteCodes},
    domain::{account::normalise_email, activity::Action},
    id::SignUpPermitId,
    secret::Secret,
    store::{self, activity::ACCOUNT_CHAIN, sign_up_permit::NewSignUpPermit},
};
use serde_json::{Map, json};

use super::operator::{OperatorEntry, OperatorError, operator_change};
use crate::http::validation::email_address;

const MAX_DAYS: u32 = 30;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum AllowSignUpError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("no account can have this address")]
    InvalidAddress,
    #[error("a code is valid for 1 to {MAX_DAYS} days")]
    Days,
    #[error("an account already has this address")]
    Taken,
}

impl From<store::Error> for AllowSignUpError {
    fn from(error: store::Error) -> Self {
        Self::Operator(error.into())
    }
}

/// Creates the code with which this address, and no other, can sign up once within so many days (1 to 30), whatever
/// `NVISY_AUTH_SIGN_UP` allows. An earlier code for the address becomes invalid.
///
/// # Errors
/// When key or database cannot be used, or no account can have the address.
pub async fn allow_sign_up(config: &Config, email: &str, days: u32) -> Result<Secret<String>, AllowSignUpError> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(AllowSignUpError::Days);
    }
    email_address(email, &()).map_err(|_| AllowSignUpError::InvalidAddress)?;
    let email = normalise_email(email);
    operator_change(config, ACCOUNT_CHAIN, async |tx, keys| {
        if store::account::by_email(tx, &email).await?.is_some() {
            return Err(AllowSignUpError::Taken);
        }
        let id = SignUpPermitId::new();
        let code = InviteCodes::new(keys.clone()).sign_up_permit(id);
        let code_hash = invite_code::hash(&code).expect("a generated code has a hash");
        // The database's precision.
        let expires_at = (clock::now() + TimeDelta::days(i64::from(days))).trunc_subsecs(6);
        store::sign_up_permit::insert(tx, &NewSignUpPermit { id, email: &email, code_hash, expires_at }).await?;
        let details = Map::from_iter([("expiresAt".to_owned(), json!(expires_at))]);
        Ok((code, OperatorEntry { action: Action::SignUpPermitCreated, object: id.0, details }))
    })
    .await
}
