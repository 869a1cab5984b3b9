//! The account operations.

use actix_web::web::Data;
use apistos::api_operation;

use super::{
    service,
    wire::{AccessToken, Account, Login, SignUp},
};
use crate::{
    auth::account::CurrentAccount,
    http::{answer::Created, extract::Json, idempotency::IdempotencyKey, origin::Origin},
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "signUp",
    tag = "accounts",
    summary = "Sign up",
    description = "Creates an account. Log in with it to get an access token.",
    error_code = 409
)]
pub(crate) async fn sign_up(
    state: Data<State>,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<SignUp>,
) -> Result<Created<Account>, Problem> {
    let account = service::sign_up(&state, key, origin, body.0).await?;
    Ok(account.at(|_| "/api/v1/account".to_owned()))
}

#[api_operation(
    operation_id = "login",
    tag = "accounts",
    summary = "Log in",
    description = "Gives an access token. An unknown address and a wrong password are answered alike.",
    error_code = 401,
    error_code = 403
)]
pub(crate) async fn login(state: Data<State>, body: Json<Login>) -> Result<Json<AccessToken>, Problem> {
    service::login(&state, body.0).await.map(Json)
}

#[api_operation(
    operation_id = "readAccount",
    tag = "accounts",
    summary = "Read the caller's account",
    error_code = 401
)]
pub(crate) async fn read(account: CurrentAccount) -> Result<Json<Account>, Problem> {
    Ok(Json(account.into()))
}
