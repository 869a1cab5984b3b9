//! The steps of creating and revoking API tokens.

use chrono::{DateTime, Duration, Utc};
use nvisy_shared::{
    clock,
    crypt::{
        KeyPurpose,
        token::{self, TokenKind},
    },
    domain::activity::Action,
    entity::api_token::Model,
    id::{AccountId, TokenId, WorkspaceId},
    secret::Secret,
    store::{self, api_token::NewApiToken, change::Change},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    auth::{account::SignedIn, second_factor::Checked},
    http::{client_info::ClientInfo, extract::invalid_field},
    problem::{Code, Problem},
    state::State,
};

const MAX_LIFETIME_DAYS: i64 = 366;
const MAX_TOKENS_PER_ACCOUNT: i64 = 100;
/// Characters of a token that lists show.
const HINT_CHARS: usize = 4;

/// A request for an API token.
#[derive(Debug, Serialize)]
pub struct CreateTokenCommand {
    pub name: String,
    /// Sorted, without repetitions.
    pub permissions: Vec<String>,
    pub workspaces: Option<Vec<Uuid>>,
    pub expires_at: DateTime<Utc>,
}

/// Verifies password and second factor: the token outlives the session, also one that was stolen.
pub async fn reauthenticate(
    state: &State,
    account: &SignedIn,
    client: &ClientInfo,
    password: Secret<String>,
    code: Option<&str>,
) -> Result<(), Problem> {
    let _lock = state.authenticator.reauthenticate(account, client, password).await?;
    let changes = account.changes(&state.platform, client);
    let checked = changes.run(async |change| {
        account.lock(change).await?;
        let checked = state.authenticator.second_factor.check(change, account.id, code).await?;
        if checked == Checked::Wrong {
            change.audit(Action::AccountCodeRefused, account.id);
        }
        Ok::<_, Problem>(checked)
    });
    checked.await?.into_result()
}

pub async fn create(
    state: &State,
    change: &mut Change,
    account: &SignedIn,
    command: &CreateTokenCommand,
) -> Result<Model, Problem> {
    let CreateTokenCommand { name, permissions, workspaces, expires_at } = command;
    let now = clock::now();
    if *expires_at <= now || *expires_at > now + Duration::days(MAX_LIFETIME_DAYS) {
        return Err(invalid_field("expiresAt", "must be in the future, and at most 366 days away"));
    }
    account.lock_session(change).await?;
    if store::api_token::count(change.tx(), account.id).await? >= MAX_TOKENS_PER_ACCOUNT {
        let detail = format!("an account can have at most {MAX_TOKENS_PER_ACCOUNT} API tokens");
        return Err(Problem::new(Code::TooManyTokens).detail(detail));
    }
    let id = TokenId::new();
    let secret = secret(state, account.id, id);
    let hash = token::hash(TokenKind::Api, secret.expose());
    let hash = hash.ok_or_else(|| Problem::internal("a new API token has no hash"))?;
    let token = NewApiToken {
        id,
        account: account.id,
        name,
        hash: &hash,
        hint: &secret.expose()[secret.expose().len() - HINT_CHARS..],
        permissions: permissions.clone(),
        workspaces: workspaces.as_ref().map(|ids| ids.iter().copied().map(WorkspaceId).collect()),
        expires_at: *expires_at,
    };
    let token = store::api_token::insert(change, token).await?.ok_or_else(Problem::not_found)?;
    change.audit(Action::TokenCreated, token.id);
    Ok(token)
}

/// The token itself: a keyed hash of its id, so that a repeated request can return it again, although the database holds only
/// its hash. Each account has a key of its own.
pub fn secret(state: &State, account: AccountId, id: TokenId) -> Secret<String> {
    let key = state.platform.keys.derive_for(account.0, KeyPurpose::ApiToken);
    token::encode(TokenKind::Api, &key.mac(id.0.as_bytes()))
}

pub async fn revoke(state: &State, account: &SignedIn, client: &ClientInfo, token: TokenId) -> Result<(), Problem> {
    let changes = account.changes(&state.platform, client);
    changes
        .run(async |change| {
            if !store::api_token::revoke(change, account.id, token).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::TokenRevoked, token);
            Ok(())
        })
        .await
}
