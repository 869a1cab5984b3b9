//! The steps of signing up and logging in.

use nvisy_shared::{
    domain::{
        account::normalise_email,
        activity::{Action, Actor},
    },
    secret::Secret,
    store::{
        self,
        account::NewAccount,
        activity::{self, Act},
    },
};
use serde_json::json;

use super::wire::{AccessToken, Account, Login, SignUp, TokenType};
use crate::{
    auth::{account::refuse_suspended, password::check_strength},
    http::{
        answer::Created,
        idempotency::{IdempotencyKey, idempotent},
        limit,
        origin::Origin,
    },
    problem::{Code, Problem},
    state::State,
};

pub(super) async fn sign_up(
    state: &State,
    key: IdempotencyKey,
    origin: Origin,
    body: SignUp,
) -> Result<Created<Account>, Problem> {
    let email = normalise_email(&body.email);
    let display_name = body.display_name.trim();
    check_strength(&body.password, &[&email, display_name])?;
    // Before the transaction: nothing may wait for a slow hash while it holds a connection.
    let password_hash = state.passwords.hash(body.password).await?;
    let once = key.once("signUp", None, &(&email, display_name));
    idempotent(&state.platform.db, once, async |tx| {
        let account = NewAccount { email: &email, display_name, password_hash: &password_hash };
        let account = store::account::insert(tx, account).await?;
        let account = account.ok_or_else(|| Problem::new(Code::EmailTaken))?;
        let by = origin.by(Actor::Account(account.id));
        let act = Act::new(Action::AccountSignedUp, account.id.0, json!({}));
        activity::append(tx, &state.platform.seals, activity::ACCOUNTS, &by, &[act]).await?;
        Ok(account.into())
    })
    .await
}

pub(super) async fn login(state: &State, body: Login) -> Result<AccessToken, Problem> {
    let email = normalise_email(&body.email);
    limit::name(state, &email).await?;
    let account = store::account::by_email(&state.platform.db, &email).await?;
    let hash = account.as_ref().map(|account| Secret::new(account.password_hash.clone()));
    let right = state.passwords.verify(body.password, hash).await?;
    let account = account.filter(|_| right).ok_or_else(|| Problem::new(Code::WrongCredentials))?;
    // Only whoever knows the password is told that the account is suspended.
    refuse_suspended(account.state)?;
    let (access_token, expires_in) =
        state.keys.issue(account.id).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(AccessToken { access_token, token_type: TokenType::Bearer, expires_in })
}
