//! The operations with links by mail.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::domain::{account::normalise_email, activity::Actor};

use super::{
    service,
    wire::{ChangeEmail, ForgottenPassword, LinkToken, ResetPassword},
};
use crate::{
    auth::{account::SignedIn, change::account_changes},
    http::{
        client_info::ClientInfo,
        extract::Json,
        idempotency::{IdempotencyKey, idempotent},
        status_json::{Accepted, NoContent},
    },
    identity::wire::Mailed,
    mailer::link_hash,
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "forgotPassword",
    tag = "accounts",
    summary = "Request a password reset",
    description = "Sends a link to the address if an account has it. The response is the same in both cases."
)]
pub async fn forgot_password(
    state: Data<State>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<ForgottenPassword>,
) -> Result<Accepted<Mailed>, Problem> {
    state.mailer.require()?;
    let email = normalise_email(&body.0.email);
    state.limiter.count_mailbox(&client, &email).await?;
    let request = key.bind("forgotPassword", None, &email);
    idempotent(&account_changes(&state.platform, &client, Actor::System), request, async |change| {
        service::send_password_reset(&state, change, &email).await?;
        Ok(Mailed { email: email.clone() })
    })
    .await
}

#[api_operation(
    operation_id = "resetPassword",
    tag = "accounts",
    summary = "Reset the password",
    description = "Takes the token of the link in the mail, which is valid once. Ends all sessions, API tokens and other links of the account."
)]
pub async fn reset_password(
    state: Data<State>,
    client: ClientInfo,
    body: Json<ResetPassword>,
) -> Result<NoContent, Problem> {
    let ResetPassword { token, new_password } = body.0;
    service::reset_password(&state, &client, &link_hash(&token)?, new_password.into_secret()).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "changeEmail",
    tag = "accounts",
    summary = "Change the account's address",
    description = "Sends a link to the new address; confirming it changes the address. The response is the same whether or not another account has the address."
)]
pub async fn change_email(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<ChangeEmail>,
) -> Result<Accepted<Mailed>, Problem> {
    state.mailer.require()?;
    let email = normalise_email(&body.0.email);
    state.limiter.count_mailbox(&client, &email).await?;
    state.authenticator.reauthenticate(&account, &client, body.0.password.into_secret()).await?;
    let request = key.bind("changeEmail", Some(account.id), &email);
    idempotent(&account.changes(&state.platform, &client), request, async |change| {
        service::send_email_change(&state, change, &account, &email).await?;
        Ok(Mailed { email: email.clone() })
    })
    .await
}

#[api_operation(
    operation_id = "verifyEmail",
    tag = "accounts",
    summary = "Request a link that verifies the account's address"
)]
pub async fn verify_email(
    state: Data<State>,
    account: SignedIn,
    key: IdempotencyKey,
    client: ClientInfo,
) -> Result<Accepted<Mailed>, Problem> {
    state.mailer.require()?;
    state.limiter.count_mailbox(&client, &account.email).await?;
    let request = key.bind("verifyEmail", Some(account.id), &account.email);
    idempotent(&account.changes(&state.platform, &client), request, async |change| {
        service::send_email_verification(&state, change, &account).await?;
        Ok(Mailed { email: account.email.clone() })
    })
    .await
}

#[api_operation(
    operation_id = "confirmEmail",
    tag = "accounts",
    summary = "Confirm an address",
    description = "Takes the token of the link in the mail of an address change or a verification."
)]
pub async fn confirm_email(
    state: Data<State>,
    client: ClientInfo,
    body: Json<LinkToken>,
) -> Result<NoContent, Problem> {
    service::confirm_email(&state, &client, &link_hash(&body.0.token)?).await.map(|()| NoContent)
}
