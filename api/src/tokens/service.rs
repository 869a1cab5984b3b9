//! The steps of creating and revoking API tokens.

use chrono::Duration;
use nvisy_shared::{
    clock,
    crypt::opaque::{self, Kind},
    domain::activity::Action,
    id::{TokenId, WorkspaceId},
    store::{self, TransactionTrait},
};

use super::wire::{CreateToken, NewToken};
use crate::{
    auth::{account::SignedIn, trail},
    http::{
        answer::{Created, Deleted},
        extract::invalid_field,
        origin::Origin,
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

pub(super) async fn create(
    state: &State,
    account: &SignedIn,
    origin: &Origin,
    body: CreateToken,
) -> Result<Created<NewToken>, Problem> {
    let now = clock::now();
    if body.expires_at <= now || body.expires_at > now + Duration::days(LONGEST_DAYS) {
        return Err(invalid_field("expiresAt", "must be in the future, and at most a year away"));
    }
    let mut permissions = body.permissions;
    permissions.sort_unstable();
    permissions.dedup();
    let secret = opaque::generate(Kind::Api);
    let hash =
        opaque::hash(Kind::Api, secret.expose()).ok_or_else(|| Problem::internal("a token of ours has no hash"))?;
    let token = store::api_token::NewToken {
        account: account.id,
        name: body.name.trim(),
        hash: &hash,
        hint: &secret.expose()[secret.expose().len() - HINT..],
        permissions,
        workspaces: body.workspaces.map(|ids| ids.into_iter().map(WorkspaceId).collect()),
        expires_at: body.expires_at,
    };
    let tx = state.platform.db.begin().await?;
    account.still_signed_in(&tx).await?;
    if store::api_token::count(&tx, account.id).await? >= MOST {
        return Err(Problem::new(Code::TooManyTokens).detail(format!("an account has at most {MOST}")));
    }
    let token = store::api_token::insert(&tx, token).await?;
    let token = token.ok_or_else(|| invalid_field("workspaces", "there is one that the account is no member of"))?;
    trail::note(state, &tx, &origin.by(account.actor()), Action::TokenCreated, token.id.0).await?;
    tx.commit().await?;
    Ok(Created::new(NewToken { secret: secret.expose().clone(), token: token.into() }))
}

pub(super) async fn revoke(
    state: &State,
    account: &SignedIn,
    origin: &Origin,
    token: TokenId,
) -> Result<Deleted, Problem> {
    let tx = state.platform.db.begin().await?;
    if !store::api_token::revoke(&tx, account.id, token).await? {
        return Err(Problem::not_found());
    }
    trail::note(state, &tx, &origin.by(account.actor()), Action::TokenRevoked, token.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}
