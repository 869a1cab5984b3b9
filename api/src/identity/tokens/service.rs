//! The steps of creating and revoking API tokens.

use chrono::Duration;
use nvisy_shared::{
    clock,
    crypt::{
        KeyPurpose,
        token::{self, TokenKind},
    },
    domain::activity::Action,
    id::{AccountId, TokenId, WorkspaceId},
    secret::Secret,
    store::{self, TransactionTrait},
};

use super::wire::{CreateToken, NewToken, Token};
use crate::{
    auth::{
        account::SignedIn,
        audit,
        second_factor::{self, Checked},
    },
    http::{
        client_info::Origin,
        extract::invalid_field,
        idempotency::{IdempotencyKey, idempotent},
        status_json::{Created, Deleted},
    },
    problem::{Code, Problem},
    state::State,
};

/// Days that a token may last.
const LONGEST_DAYS: i64 = 366;
/// Tokens an account may have.
const MOST: i64 = 100;
/// Characters of a token that are shown in lists.
const HINT: usize = 4;

pub async fn create(
    state: &State,
    account: &SignedIn,
    key: IdempotencyKey,
    origin: &Origin,
    body: CreateToken,
) -> Result<Created<NewToken>, Problem> {
    prove(state, account, origin, body.password, body.code.as_deref()).await?;
    let mut permissions = body.permissions;
    permissions.sort_unstable();
    permissions.dedup();
    let (name, workspaces, expires_at) = (body.name.trim(), body.workspaces, body.expires_at);
    let once = key.once("createToken", Some(account.id), &(name, &permissions, &workspaces, expires_at));
    let created: Created<Token> = idempotent(&state.platform.db, once, async |tx| {
        let now = clock::now();
        if expires_at <= now || expires_at > now + Duration::days(LONGEST_DAYS) {
            return Err(invalid_field("expiresAt", "must be in the future, and at most a year away"));
        }
        account.still_signed_in(tx).await?;
        if store::api_token::count(tx, account.id).await? >= MOST {
            return Err(Problem::new(Code::TooManyTokens).detail(format!("an account has at most {MOST}")));
        }
        let id = TokenId::new();
        let secret = secret(state, account.id, id);
        let hash = token::hash(TokenKind::Api, secret.expose())
            .ok_or_else(|| Problem::internal("a token of ours has no hash"))?;
        let token = store::api_token::NewToken {
            id,
            account: account.id,
            name,
            hash: &hash,
            hint: &secret.expose()[secret.expose().len() - HINT..],
            permissions,
            workspaces: workspaces.map(|ids| ids.into_iter().map(WorkspaceId).collect()),
            expires_at,
        };
        let token = store::api_token::insert(tx, token).await?;
        let token = token.ok_or_else(Problem::not_found)?;
        audit::note(state, tx, &origin.by(account.actor()), Action::TokenCreated, token.id.0).await?;
        Ok(token.into())
    })
    .await?;
    // Not kept with the answer: what is stored under an idempotency key must not open anything.
    Ok(created.map(|token| {
        let secret = secret(state, account.id, TokenId(token.id)).expose().clone();
        NewToken { secret, token }
    }))
}

/// Makes sure of who asks: the token will outlive the session, and whatever ends it.
async fn prove(
    state: &State,
    account: &SignedIn,
    origin: &Origin,
    password: Secret<String>,
    code: Option<&str>,
) -> Result<(), Problem> {
    let _alone = account.reauthenticate(state, origin, password).await?;
    let tx = state.platform.db.begin().await?;
    account.lock(&tx).await?;
    let checked = second_factor::check(state, &tx, account.id, code).await?;
    if checked == Checked::Wrong {
        audit::note(state, &tx, &origin.by(account.actor()), Action::AccountCodeRefused, account.id.0).await?;
    }
    tx.commit().await?;
    checked.verdict()
}

/// The token itself: a keyed hash of its id, so that a request that is repeated gets it again, while the database holds
/// no more than its hash. Only this account's tokens come of its key.
fn secret(state: &State, account: AccountId, token: TokenId) -> Secret<String> {
    let key = state.platform.keys.derive_for(account.0, KeyPurpose::ApiToken);
    token::encode(TokenKind::Api, &key.mac(token.0.as_bytes()))
}

pub async fn revoke(state: &State, account: &SignedIn, origin: &Origin, token: TokenId) -> Result<Deleted, Problem> {
    let tx = state.platform.db.begin().await?;
    if !store::api_token::revoke(&tx, account.id, token).await? {
        return Err(Problem::not_found());
    }
    audit::note(state, &tx, &origin.by(account.actor()), Action::TokenRevoked, token.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}
