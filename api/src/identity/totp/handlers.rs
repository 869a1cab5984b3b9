//! The operations on the second factor.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::store;

use super::{
    service,
    wire::{BothFactors, Confirm, Enrol, Enrolment, RecoveryCodes, SecondFactorStatus},
};
use crate::{
    auth::account::SignedIn,
    http::{client_info::ClientInfo, extract::Json, status_json::NoContent},
    problem::Problem,
    state::State,
};

#[api_operation(operation_id = "readSecondFactor", tag = "sessions", summary = "Read the status of the second factor")]
pub async fn read(state: Data<State>, account: SignedIn) -> Result<Json<SecondFactorStatus>, Problem> {
    let status = store::totp::status(&state.platform.db, account.id).await?;
    Ok(Json(status.into()))
}

#[api_operation(
    operation_id = "enrolSecondFactor",
    tag = "sessions",
    summary = "Enrol a second factor",
    description = "Returns a secret for an authenticator app (TOTP). Logging in requires a code after the enrolment is confirmed with one."
)]
pub async fn enrol(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<Enrol>,
) -> Result<Json<Enrolment>, Problem> {
    let secret = service::enrol(&state, &account, &client, body.0.password.into_secret()).await?;
    Ok(Json(Enrolment { secret: secret.base32, uri: secret.uri }))
}

#[api_operation(
    operation_id = "confirmSecondFactor",
    tag = "sessions",
    summary = "Confirm the second factor",
    description = "From then on, logging in requires a code. Only this response contains the recovery codes. Ends all other sessions, which started without a code."
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
    summary = "Renew the recovery codes",
    description = "The previous codes become invalid."
)]
pub async fn renew(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<BothFactors>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let BothFactors { password, code } = body.0;
    let recovery_codes =
        service::renew_recovery_codes(&state, &account, &client, password.into_secret(), &code).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[api_operation(
    operation_id = "disableSecondFactor",
    tag = "sessions",
    summary = "Disable the second factor",
    description = "Requires the password and a code from the app, or a recovery code."
)]
pub async fn disable(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<BothFactors>,
) -> Result<NoContent, Problem> {
    let BothFactors { password, code } = body.0;
    service::disable(&state, &account, &client, password.into_secret(), &code).await.map(|()| NoContent)
}
