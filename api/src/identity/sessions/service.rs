//! The steps of logging in, staying logged in, and logging out.

use std::time::Duration;

use actix_web::HttpRequest;
use nvisy_shared::{
    config,
    crypt::{DerivedKey, KeyPurpose, refresh::RefreshToken},
    domain::{
        account::normalise_email,
        activity::{Action, Actor},
    },
    id::{AccountId, SessionId},
    secret::Secret,
    store::{
        self, TransactionTrait,
        activity::AuditEntry,
        session::{Life, Presented, Standing},
    },
};
use serde_json::json;
use uuid::Uuid;

use super::wire::{Login, Refresh, TokenType, Tokens};
use crate::{
    auth::{
        account::{SignedIn, refuse_suspended},
        audit,
        device::Device,
        failed_logins::Refusal,
        second_factor::{self, Checked},
    },
    http::{client_info::Origin, rate_limit, status_json::Deleted},
    problem::{Code, Problem},
    state::State,
};

/// How long a refresh token that has been used still gives its successor: clients lose answers, and browsers' tabs
/// refresh at the same time. To a device that has the address or the name of the one that used it: not to a thief, who
/// has to be quick as well.
const LOST_ANSWER: Duration = Duration::from_secs(30);

pub async fn login(state: &State, device: &Device, origin: &Origin, body: Login) -> Result<Tokens, Problem> {
    let email = normalise_email(&body.email);
    let attempt = rate_limit::attempt(state, origin, &email).await?;
    let account = store::account::by_email(&state.platform.db, &email).await?;
    let hash = account.as_ref().map(|account| Secret::new(account.password_hash.clone()));
    let right = state.passwords.verify(body.password, hash.clone()).await?;
    let Some((account, hash)) = account.as_ref().zip(hash).filter(|_| right) else {
        // For an address without an account, too: it takes as long.
        state.refusals.note(Refusal::login(account.map_or(Uuid::nil(), |account| account.id.0), "password"), origin);
        return Err(Problem::new(Code::WrongCredentials));
    };
    attempt.succeeded().await;
    // Only whoever knows the password is told that the account is suspended.
    if let Err(problem) = refuse_suspended(account.state) {
        state.refusals.note(Refusal::login(account.id.0, "suspended"), origin);
        return Err(problem);
    }

    let refresh = RefreshToken::first(&key(state), SessionId::new());
    let tx = state.platform.db.begin().await?;
    // The password may have been changed since it was verified; a session that begins now would outlive that.
    let account = store::account::lock_verified(&tx, account.id, &hash).await?;
    let account = account.ok_or_else(|| Problem::new(Code::WrongCredentials))?;
    refuse_suspended(account.state)?;
    let by = origin.by(Actor::Account(account.id));
    let checked = second_factor::check(state, &tx, account.id, body.code.as_deref()).await?;
    if let Err(problem) = checked.verdict() {
        // That the code was wrong is written down; that there is none yet is how everybody with a second factor begins.
        if checked != Checked::Missing {
            let refused = AuditEntry::new(Action::SessionRefused, account.id.0, json!({ "reason": "code" }));
            audit::write(state, &tx, &by, &[refused]).await?;
        }
        tx.commit().await?;
        return Err(problem);
    }
    if account.erase_at.is_some() {
        store::account::reopen(&tx, account.id).await?;
    }
    let session = refresh.session();
    store::session::insert(&tx, session, account.id, device.as_stored(), life(state), &refresh.hash()).await?;
    if account.erase_at.is_some() {
        audit::note(state, &tx, &by, Action::AccountRestored, account.id.0).await?;
    }
    audit::note(state, &tx, &by, Action::SessionStarted, session.0).await?;
    tx.commit().await?;
    tokens(state, account.id, &refresh)
}

pub async fn refresh(
    state: &State,
    request: &HttpRequest,
    device: &Device,
    origin: &Origin,
    body: Refresh,
) -> Result<Tokens, Problem> {
    let key = key(state);
    let token = RefreshToken::parse(&key, body.refresh_token).ok_or_else(refused)?;
    // Also of a session that is over: a token that keeps coming is not asked about for ever.
    rate_limit::session(request, token.session()).await?;
    let next = token.successor(&key);
    let (token, successor) = (token.hash(), next.hash());

    let tx = state.platform.db.begin().await?;
    let presented = store::session::present(&tx, device.as_stored(), &token, &successor).await?.ok_or_else(refused)?;
    let Presented { session, account, .. } = presented;
    refuse_suspended(presented.state)?;
    match presented.standing {
        Standing::Newest => {
            store::session::rotate(&tx, session, device.as_stored(), life(state), &token, &successor).await?;
        }
        Standing::JustUsed(age) if age <= LOST_ANSWER => {}
        Standing::JustUsed(_) | Standing::Spent => {
            store::session::end(&tx, account, session).await?;
            audit::note(state, &tx, &origin.by(Actor::Account(account)), Action::SessionStolen, session.0).await?;
            tx.commit().await?;
            tracing::warn!(account.id = %account, session.id = %session, "a refresh token was used twice: its session is over");
            return Err(refused());
        }
    }
    tx.commit().await?;
    tokens(state, account, &next)
}

pub async fn end(state: &State, account: &SignedIn, origin: &Origin, session: SessionId) -> Result<Deleted, Problem> {
    let tx = state.platform.db.begin().await?;
    if !store::session::end(&tx, account.id, session).await? {
        return Err(Problem::not_found());
    }
    audit::note(state, &tx, &origin.by(account.actor()), Action::SessionEnded, session.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}

pub async fn end_all(state: &State, account: &SignedIn, origin: &Origin) -> Result<Deleted, Problem> {
    let tx = state.platform.db.begin().await?;
    store::session::end_all(&tx, account.id, None).await?;
    // Whoever does this fears that somebody else was signed in, who may have asked for a link.
    store::mail::void(&tx, account.id).await?;
    audit::note(state, &tx, &origin.by(account.actor()), Action::SessionAllEnded, account.id.0).await?;
    tx.commit().await?;
    Ok(Deleted)
}

fn refused() -> Problem {
    Problem::new(Code::RefreshTokenRefused)
}

/// What refresh tokens are made with.
fn key(state: &State) -> DerivedKey {
    state.platform.keys.derive_for(Uuid::nil(), KeyPurpose::RefreshToken)
}

fn life(state: &State) -> Life {
    let config::AuthConfig { session_seconds, session_longest_seconds, .. } = state.platform.config.auth;
    Life { idle: Duration::from_secs(session_seconds), longest: Duration::from_secs(session_longest_seconds) }
}

fn tokens(state: &State, account: AccountId, refresh: &RefreshToken) -> Result<Tokens, Problem> {
    let (access_token, expires_in) =
        state.keys.issue(account, refresh.session()).map_err(|error| Problem::internal(error.to_string()))?;
    let refresh_token = refresh.text().expose().clone();
    Ok(Tokens { access_token, token_type: TokenType::Bearer, expires_in, refresh_token })
}
