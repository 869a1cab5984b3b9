//! The operations on the second factor.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::store;

use super::{
    service,
    wire::{BothFactors, Confirm, Enrol, Enrolment, RecoveryCodes, SecondFactor},
};
use crate::{
    auth::account::SignedIn,
    http::{client_info::ClientInfo, extract::Json, status_json::NoContent},
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "readSecondFactor",
    tag = "sessions",
    summary = "Read how the account stands with its second factor",
    error_code = 401
)]
pub async fn read(state: Data<State>, account: SignedIn) -> Result<Json<SecondFactor>, Problem> {
    let standing = store::totp::status(&state.platform.db, account.id).await?;
    Ok(Json(standing.into()))
}

#[api_operation(
    operation_id = "enrolSecondFactor",
    tag = "sessions",
    summary = "Begin to use a second factor",
    description = "Gives a secret for an app that makes codes (TOTP). It is asked for once a code of it has confirmed that the app has it.",
    error_code = 409
)]
pub async fn enrol(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<Enrol>,
) -> Result<Json<Enrolment>, Problem> {
    let enrolment = service::enrol(&state, &account, &client, body.0.password).await?;
    Ok(Json(Enrolment { secret: enrolment.base32, uri: enrolment.uri }))
}

#[api_operation(
    operation_id = "confirmSecondFactor",
    tag = "sessions",
    summary = "Confirm the second factor",
    description = "From now on logging in takes a code. The recovery codes are shown this once. All other sessions end: they began without a code.",
    error_code = 409
)]
pub async fn confirm(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<Confirm>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let recovery_codes = service::confirm(&state, &account, &client, &body.0.code).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[api_operation(
    operation_id = "renewRecoveryCodes",
    tag = "sessions",
    summary = "Get new recovery codes",
    description = "The old ones stop.",
    error_code = 409
)]
pub async fn renew(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<BothFactors>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let BothFactors { password, code } = body.0;
    let recovery_codes = service::renew_recovery_codes(&state, &account, &client, password, &code).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[api_operation(
    operation_id = "disableSecondFactor",
    tag = "sessions",
    summary = "Do without the second factor",
    description = "Takes the password and a code, or a recovery code.",
    error_code = 409
)]
pub async fn disable(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<BothFactors>,
) -> Result<NoContent, Problem> {
    let BothFactors { password, code } = body.0;
    service::disable(&state, &account, &client, password, &code).await.map(|()| NoContent)
}
