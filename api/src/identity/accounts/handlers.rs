//! The account operations.

use actix_web::web::Data;
use apistos::api_operation;

use super::{
    service,
    wire::{Account, ChangePassword, Confirmation, Deletion, SignUp, SignedUp, UpdateAccount},
};
use crate::{
    auth::account::{CurrentAccount, SignedIn},
    http::{
        client_info::Origin,
        etag::{Expected, Tagged},
        extract::Json,
        idempotency::IdempotencyKey,
        status_json::{Accept, Deleted},
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "signUp",
    tag = "accounts",
    summary = "Sign up",
    description = "Creates an account; log in with it. Where not everybody may sign up, it takes the code of an invite to the address; whoever has none learns nothing of the address. Where the server sends mail, it answers 202 whether or not the address has an account, and the account exists once the link in the mail is confirmed.",
    error_code = 403,
    error_code = 409
)]
pub async fn sign_up(
    state: Data<State>,
    key: IdempotencyKey,
    origin: Origin,
    body: Json<SignUp>,
) -> Result<SignedUp, Problem> {
    service::sign_up(&state, key, origin, body.0).await
}

#[api_operation(
    operation_id = "readAccount",
    tag = "accounts",
    summary = "Read the caller's account",
    error_code = 401
)]
pub async fn read(account: CurrentAccount) -> Result<Tagged<Account>, Problem> {
    Ok(Tagged { body: (&account).into(), revision: account.revision })
}

#[api_operation(
    operation_id = "updateAccount",
    tag = "accounts",
    summary = "Change the caller's account",
    error_code = 401,
    error_code = 412
)]
pub async fn update(
    state: Data<State>,
    account: SignedIn,
    expected: Expected,
    origin: Origin,
    body: Json<UpdateAccount>,
) -> Result<Tagged<Account>, Problem> {
    service::update(&state, &account, expected, &origin, body.0).await
}

#[api_operation(
    operation_id = "changePassword",
    tag = "accounts",
    summary = "Change the password",
    description = "Ends all other sessions.",
    error_code = 403
)]
pub async fn change_password(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<ChangePassword>,
) -> Result<Deleted, Problem> {
    service::change_password(&state, &account, &origin, body.0).await
}

#[api_operation(
    operation_id = "deleteAccount",
    tag = "accounts",
    summary = "Delete the caller's account",
    description = "Ends all sessions at once. Until `eraseAt` logging in takes the deletion back; then the account is erased, with the workspaces that nobody else belongs to. The last owner of a workspace with other members hands it over first.",
    error_code = 403,
    error_code = 409
)]
pub async fn delete(
    state: Data<State>,
    account: SignedIn,
    origin: Origin,
    body: Json<Confirmation>,
) -> Result<Accept<Deletion>, Problem> {
    service::delete(&state, &account, &origin, body.0).await
}
