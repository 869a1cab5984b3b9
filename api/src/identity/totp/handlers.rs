//! The operations on the second factor.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    domain::activity::Action,
    store::{self, TransactionTrait},
};

use super::wire::{BothFactors, Confirm, Enrol, Enrolment, RecoveryCodes, SecondFactor};
use crate::{
    auth::{account::SignedIn, audit, second_factor},
    http::{client_info::Origin, extract::Json, status_json::Deleted},
    problem::{Code, Problem},
    state::State,
};

#[api_operation(
    operation_id = "readSecondFactor",
    tag = "sessions",
    summary = "Read how the account stands with its second factor",
    error_code = 401
)]
pub async fn read(state: Data<State>, account: SignedIn) -> Result<Json<SecondFactor>, Problem> {
    let standing = store::totp::standing(&state.platform.db, account.id).await?;
    Ok(Json(standing.into()))
}

#[api_operation(
    operation_id = "enrolSecondFactor",
    tag = "sessions",
    summary = "Begin to use a second factor",
    description = "Gives a secret for an app that makes codes (TOTP). It is asked for once a code of it has confirmed that the app has it.",
    error_code = 403,
    error_code = 409
)]
pub async fn enrol(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<Enrol>,
) -> Result<Json<Enrolment>, Problem> {
    account.reauthenticate(&state, &origin, body.0.password).await?;
    let enrolment = second_factor::generate(&account.email)?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    if !second_factor::enrol(&state, &tx, account.id, &enrolment).await? {
        return Err(Problem::new(Code::SecondFactorActive));
    }
    audit::note(&state, &tx, &origin.by(account.actor()), Action::AccountFactorEnrolled, account.id.0).await?;
    tx.commit().await?;
    Ok(Json(Enrolment { secret: enrolment.base32, uri: enrolment.uri }))
}

#[api_operation(
    operation_id = "confirmSecondFactor",
    tag = "sessions",
    summary = "Confirm the second factor",
    description = "From now on logging in takes a code. The recovery codes are shown this once. All other sessions end: they began without a code.",
    error_code = 401,
    error_code = 409,
    error_code = 429
)]
pub async fn confirm(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<Confirm>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    let checked = second_factor::confirm(&state, &tx, account.id, &body.0.code).await?;
    let checked = checked.ok_or_else(|| Problem::new(Code::NoEnrolment))?;
    if let Err(problem) = checked.verdict() {
        return Err(refused(&state, tx, &account, &origin, problem).await?);
    }
    let recovery_codes = second_factor::renew_recovery_codes(&state, &tx, account.id).await?;
    store::session::end_all(&tx, account.id, Some(account.session)).await?;
    audit::note(&state, &tx, &origin.by(account.actor()), Action::AccountFactorConfirmed, account.id.0).await?;
    tx.commit().await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[api_operation(
    operation_id = "renewRecoveryCodes",
    tag = "sessions",
    summary = "Get new recovery codes",
    description = "The old ones stop.",
    error_code = 401,
    error_code = 403,
    error_code = 409,
    error_code = 429
)]
pub async fn renew(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<BothFactors>,
) -> Result<Json<RecoveryCodes>, Problem> {
    account.reauthenticate(&state, &origin, body.0.password).await?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    if let Err(problem) = prove(&state, &tx, &account, &body.0.code).await? {
        return Err(refused(&state, tx, &account, &origin, problem).await?);
    }
    let recovery_codes = second_factor::renew_recovery_codes(&state, &tx, account.id).await?;
    audit::note(&state, &tx, &origin.by(account.actor()), Action::AccountCodesRenewed, account.id.0).await?;
    tx.commit().await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[api_operation(
    operation_id = "disableSecondFactor",
    tag = "sessions",
    summary = "Do without the second factor",
    description = "Takes the password and a code, or a recovery code.",
    error_code = 401,
    error_code = 403,
    error_code = 409,
    error_code = 429
)]
pub async fn disable(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<BothFactors>,
) -> Result<Deleted, Problem> {
    account.reauthenticate(&state, &origin, body.0.password).await?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    if let Err(problem) = prove(&state, &tx, &account, &body.0.code).await? {
        return Err(refused(&state, tx, &account, &origin, problem).await?);
    }
    store::totp::remove(&tx, account.id).await?;
    audit::note(&state, &tx, &origin.by(account.actor()), Action::AccountFactorDisabled, account.id.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}

/// Whether the code is right; what is wrong with it is to be answered once the transaction is committed.
async fn prove(state: &State, tx: &store::Tx, account: &SignedIn, code: &str) -> Result<Result<(), Problem>, Problem> {
    if !store::totp::standing(tx, account.id).await?.active {
        return Err(Problem::new(Code::NoSecondFactor));
    }
    Ok(second_factor::check(state, tx, account.id, Some(code)).await?.verdict())
}

/// Writes down that the code was wrong, and keeps count of it; then that is the answer.
async fn refused(
    state: &State,
    tx: store::Tx,
    account: &SignedIn,
    origin: &Origin,
    problem: Problem,
) -> Result<Problem, Problem> {
    audit::note(state, &tx, &origin.by(account.actor()), Action::AccountCodeRefused, account.id.0).await?;
    tx.commit().await?;
    Ok(problem)
}
