//! The operations that take a mailbox.

use actix_web::web::Data;
use apistos::api_operation;

use super::{
    service,
    wire::{ChangeEmail, ConfirmSignUp, ForgottenPassword, LinkToken, Mailed, ResetPassword},
};
use crate::{
    auth::account::SignedIn,
    http::{
        client_info::Origin,
        extract::Json,
        idempotency::IdempotencyKey,
        status_json::{Accept, Created, Deleted},
    },
    identity::accounts::wire::Account,
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "confirmSignUp",
    tag = "accounts",
    summary = "Confirm a sign-up",
    description = "With the token of the link in the mail, and the password of that sign-up: whoever asked is whoever reads the mailbox. The account exists from now on. A wrong password uses nothing up.",
    error_code = 401,
    error_code = 429
)]
pub async fn confirm_sign_up(
    state: Data<State>,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<ConfirmSignUp>,
) -> Result<Created<Account>, Problem> {
    let account = service::confirm_sign_up(&state, key, &origin, body.0).await?;
    Ok(account.at(|_| "/api/v1/account".to_owned()))
}

#[api_operation(
    operation_id = "forgotPassword",
    tag = "accounts",
    summary = "Ask for a new password",
    description = "Sends a link to the address, if an account has it. The answer is the same whether or not.",
    error_code = 501
)]
pub async fn forgotten(
    state: Data<State>,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<ForgottenPassword>,
) -> Result<Accept<Mailed>, Problem> {
    service::forgotten(&state, key, &origin, &body.0.email).await
}

#[api_operation(
    operation_id = "resetPassword",
    tag = "accounts",
    summary = "Set a new password by mail",
    description = "With the token of the link in the mail, once. All sessions and API tokens end, and so do other links of the account.",
    error_code = 401
)]
pub async fn reset(state: Data<State>, origin: Origin, body: Json<ResetPassword>) -> Result<Deleted, Problem> {
    service::reset(&state, &origin, body.0).await
}

#[api_operation(
    operation_id = "changeEmail",
    tag = "accounts",
    summary = "Change the account's address",
    description = "Sends a link to the new address; the change happens when that is confirmed. The answer is the same whether or not another account has it.",
    error_code = 403,
    error_code = 501
)]
pub async fn change_email(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<ChangeEmail>,
) -> Result<Accept<Mailed>, Problem> {
    service::change_email(&state, &account, key, &origin, body.0).await
}

#[api_operation(
    operation_id = "verifyEmail",
    tag = "accounts",
    summary = "Ask for a link that confirms the account's address",
    error_code = 501
)]
pub async fn verify_email(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    origin: Origin,
) -> Result<Accept<Mailed>, Problem> {
    service::verify_email(&state, &account, key, &origin).await
}

#[api_operation(
    operation_id = "confirmEmail",
    tag = "accounts",
    summary = "Confirm an address",
    description = "With the token of the link in the mail: of a change of address, or of a verification.",
    error_code = 401
)]
pub async fn confirm_email(state: Data<State>, origin: Origin, body: Json<LinkToken>) -> Result<Deleted, Problem> {
    service::confirm_email(&state, &origin, &body.0.token).await
}
