//! The account operations.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::domain::activity::Actor;

use super::{
    service::{self, PreparedSignUp},
    wire::{Account, ChangePassword, ConfirmSignUp, Confirmation, Deletion, SignUp, SignedUp, UpdateAccount},
};
use crate::{
    auth::{
        account::{CurrentAccount, SignedIn},
        change::account_changes,
        password,
    },
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::Json,
        idempotency::{IdempotencyKey, idempotent},
        status_json::{Accepted, Created, NoContent},
    },
    identity::wire::Mailed,
    mailer::link_hash,
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "signUp",
    tag = "accounts",
    summary = "Sign up",
    description = "Creates an account; log in with it. A server with restricted sign-up requires the code of an invite to the address; without it, the response reveals nothing about the address. A server that sends mail responds 202 whether or not the address has an account, and creates the account when the link in the mail is confirmed."
)]
pub async fn sign_up(
    state: Data<State>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<SignUp>,
) -> Result<SignedUp, Problem> {
    let sign_up = PreparedSignUp::new(&state, &client, body.0.into()).await?;
    let request = key.bind("signUp", None, &sign_up.content());
    let changes = account_changes(&state.platform, &client, Actor::System);
    if state.mailer.is_configured() {
        let accepted = idempotent(&changes, request, async |change| {
            sign_up.send_link(&state, change).await?;
            Ok(Mailed { email: sign_up.email().to_owned() })
        });
        return accepted.await.map(SignedUp::Mailed);
    }
    let created: Created<Account> =
        idempotent(&changes, request, async |change| sign_up.create(change).await.map(Account::from)).await?;
    Ok(SignedUp::Created(created.with_location(|_| "/api/v1/account".to_owned())))
}

#[api_operation(
    operation_id = "confirmSignUp",
    tag = "accounts",
    summary = "Confirm a sign-up",
    description = "Takes the token of the link in the mail and the password of that sign-up: together they prove that the reader of the mailbox signed up. Creates the account. A wrong password does not use the link up."
)]
pub async fn confirm_sign_up(
    state: Data<State>,
    key: IdempotencyKey,
    client: ClientInfo,
    body: Json<ConfirmSignUp>,
) -> Result<Created<Account>, Problem> {
    let ConfirmSignUp { token, password } = body.0;
    let (link, password) = (link_hash(&token)?, password.into_secret());
    // A random token's hash reveals nothing, unlike a password's; the mail has it, too.
    let content = (link, password::fingerprint(&state.platform.keys, &password));
    let request = key.bind("confirmSignUp", None, &content);
    service::verify_sign_up_password(&state, &client, &link, password).await?;
    let changes = account_changes(&state.platform, &client, Actor::System);
    let created: Created<Account> = idempotent(&changes, request, async |change| {
        let account = service::confirm_sign_up(change, &link).await?;
        Ok(Account { email_verified: true, ..account.into() })
    })
    .await?;
    Ok(created.with_location(|_| "/api/v1/account".to_owned()))
}

#[api_operation(operation_id = "readAccount", tag = "accounts", summary = "Read the caller's account")]
pub async fn read(account: CurrentAccount) -> Result<Tagged<Account>, Problem> {
    Ok(Tagged { body: (&account).into(), revision: account.revision })
}

#[api_operation(operation_id = "updateAccount", tag = "accounts", summary = "Change the caller's account")]
pub async fn update(
    state: Data<State>,
    account: SignedIn,
    expected: ExpectedRevisions,
    client: ClientInfo,
    body: Json<UpdateAccount>,
) -> Result<Tagged<Account>, Problem> {
    let display_name = body.0.display_name.as_deref();
    let changed = service::update(&state, &account, &client, expected.revisions(), display_name).await?;
    Ok(Tagged { revision: changed.revision, body: changed.into() })
}

#[api_operation(
    operation_id = "changePassword",
    tag = "accounts",
    summary = "Change the password",
    description = "Ends all other sessions."
)]
pub async fn change_password(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<ChangePassword>,
) -> Result<NoContent, Problem> {
    let ChangePassword { current_password, new_password } = body.0;
    let (current, new) = (current_password.into_secret(), new_password.into_secret());
    service::change_password(&state, &account, &client, current, new).await.map(|()| NoContent)
}

#[api_operation(
    operation_id = "deleteAccount",
    tag = "accounts",
    summary = "Delete the caller's account",
    description = "Ends all sessions at once. Logging in before `eraseAt` cancels the deletion; at `eraseAt` the account is erased, with the workspaces that have no other member. The last owner of a workspace with other members has to transfer it first."
)]
pub async fn delete(
    state: Data<State>,
    account: SignedIn,
    client: ClientInfo,
    body: Json<Confirmation>,
) -> Result<Accepted<Deletion>, Problem> {
    let erase_at = service::delete(&state, &account, &client, body.0.password.into_secret()).await?;
    Ok(Accepted::new(Deletion { erase_at }))
}
