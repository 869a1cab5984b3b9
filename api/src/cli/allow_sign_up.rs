//! `nvisy-api admit`: an operator's word that somebody may sign up.

use chrono::{SubsecRound, TimeDelta};
use nvisy_shared::{
    clock,
    config::Config,
    crypt::invite_code::{self, InviteCodes},
    domain::{account::normalise_email, activity::Action},
    id::SignUpPermitId,
    secret::Secret,
    store::{self, activity, sign_up_permit::NewSignUpPermit},
};
use serde_json::{Map, json};

use super::operator::{Operation, OperatorError};
use crate::http::validation::email_address;

/// Longest that a code may be good, in days.
const LONGEST: u32 = 30;

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum AdmitError {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("nobody can sign up with this address")]
    NoAddress,
    #[error("a code is good for 1 to {LONGEST} days")]
    Days,
    #[error("an account has this address already")]
    Taken,
}

impl From<store::Error> for AdmitError {
    fn from(error: store::Error) -> Self {
        Self::Operator(error.into())
    }
}

/// Makes the code with which this address, and no other, signs up once within so many days (1 to 30), whatever
/// `NVISY_AUTH_SIGN_UP` says. A code made before for the same address is void.
///
/// # Errors
/// When key or database cannot be used, or nobody can sign up with the address.
pub async fn admit(config: &Config, email: &str, days: u32) -> Result<Secret<String>, AdmitError> {
    if !(1..=LONGEST).contains(&days) {
        return Err(AdmitError::Days);
    }
    email_address(email, &()).map_err(|_| AdmitError::NoAddress)?;
    let email = normalise_email(email);
    let operation = Operation::begin(config).await?;
    if store::account::by_email(&operation.tx, &email).await?.is_some() {
        return Err(AdmitError::Taken);
    }
    let id = SignUpPermitId::new();
    let code = InviteCodes::new(operation.keys.clone()).sign_up_permit(id);
    let code_hash = invite_code::hash(&code).expect("a code of ours has a hash");
    // As the database keeps it.
    let expires_at = (clock::now() + TimeDelta::days(i64::from(days))).trunc_subsecs(6);
    store::sign_up_permit::insert(&operation.tx, &NewSignUpPermit { id, email: &email, code_hash, expires_at }).await?;
    let details = Map::from_iter([("expiresAt".to_owned(), json!(expires_at))]);
    operation.write_down(activity::ACCOUNT_CHAIN, Action::AdmissionCreated, id.0, details).await?;
    Ok(code)
}
