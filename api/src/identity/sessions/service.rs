//! The steps of logging in, refreshing a session, and logging out.

use std::time::Duration;

use nvisy_shared::{
    config,
    crypt::{DerivedKey, KeyPurpose, refresh::RefreshToken},
    domain::activity::{Action, Actor},
    entity::account::Model,
    id::{AccountId, SessionId},
    secret::Secret,
    store::{
        self,
        change::Change,
        session::{RefreshTokenStatus, RefreshedSession, SessionLifetime},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    auth::{
        account::{SignedIn, require_active},
        change::account_changes,
        device::Device,
        failed_logins::FailedLogin,
        second_factor::Checked,
    },
    http::client_info::ClientInfo,
    problem::{Code, Problem},
    state::State,
};

/// How long a used refresh token still returns its successor, because clients lose responses and tabs of a browser refresh at
/// the same time. Only for a device with the address or the name of the one that used it: a thief has to be quick as well.
const REUSE_GRACE: Duration = Duration::from_secs(30);

/// A request for a session.
#[derive(Debug)]
pub struct LoginCommand {
    /// Normalized.
    pub email: String,
    pub password: Secret<String>,
    /// The code of the second factor.
    pub code: Option<String>,
}

/// The credentials of a session.
#[derive(Debug)]
pub struct TokenPair {
    pub access_token: String,
    pub expires_in_seconds: u64,
    pub refresh_token: String,
}

pub async fn login(
    state: &State,
    device: &Device,
    client: &ClientInfo,
    command: LoginCommand,
) -> Result<TokenPair, Problem> {
    let LoginCommand { email, password, code } = command;
    let authenticator = &state.authenticator;
    let attempt = state.limiter.attempt(client, &email).await?;
    let account = store::account::by_email(&state.platform.db, &email).await?;
    let hash = account.as_ref().map(|account| Secret::new(account.password_hash.clone()));
    let is_verified = authenticator.passwords.verify(password, hash.clone()).await?;
    let Some((account, hash)) = account.as_ref().zip(hash).filter(|_| is_verified) else {
        // Also for an address without an account, so that both cases take equally long.
        let account = account.map_or(Uuid::nil(), |account| account.id.0);
        authenticator.failed_logins.record(FailedLogin::login(account, "password"), client);
        return Err(Problem::new(Code::WrongCredentials));
    };
    attempt.succeeded().await;
    // Only a caller with the right password learns that the account is suspended.
    if let Err(problem) = require_active(account.state) {
        authenticator.failed_logins.record(FailedLogin::login(account.id.0, "suspended"), client);
        return Err(problem);
    }

    let refresh = RefreshToken::first(&refresh_key(state), SessionId::new());
    let changes = account_changes(&state.platform, client, Actor::Account(account.id));
    let checked = changes.run(async |change| {
        // If the password has changed since it was verified, a session that begins now would outlive the change.
        let account = store::account::lock_verified(change, account.id, &hash).await?;
        let account = account.ok_or_else(|| Problem::new(Code::WrongCredentials))?;
        require_active(account.state)?;
        let checked = authenticator.second_factor.check(change, account.id, code.as_deref()).await?;
        match checked {
            Checked::Passed => start(change, state, device, &account, &refresh).await?,
            // Not recorded: every login with a second factor begins like that.
            Checked::Missing => {}
            Checked::Wrong | Checked::Blocked(_) => {
                change.audit_with(Action::SessionRefused, account.id, json!({ "reason": "code" }));
            }
        }
        Ok::<_, Problem>(checked)
    });
    checked.await?.into_result()?;
    token_pair(state, account.id, &refresh)
}

/// Adds the session. Cancels the deletion of the account.
async fn start(
    change: &mut Change,
    state: &State,
    device: &Device,
    account: &Model,
    refresh: &RefreshToken,
) -> Result<(), Problem> {
    if account.erase_at.is_some() {
        store::account::reopen(change, account.id).await?;
        change.audit(Action::AccountRestored, account.id);
    }
    let session = refresh.session();
    store::session::insert(change, session, account.id, device.as_stored(), lifetime(state), &refresh.hash()).await?;
    change.audit(Action::SessionStarted, session);
    Ok(())
}

/// Parses a refresh token; 401 for a text that this installation did not issue.
pub fn parse_refresh_token(state: &State, text: Secret<String>) -> Result<RefreshToken, Problem> {
    RefreshToken::parse(&refresh_key(state), text).ok_or_else(invalid_refresh_token)
}

/// Exchanges a refresh token for its successor. One that was used before, beyond [`REUSE_GRACE`], ends its session.
pub async fn refresh(
    state: &State,
    device: &Device,
    client: &ClientInfo,
    token: &RefreshToken,
) -> Result<TokenPair, Problem> {
    let next = token.successor(&refresh_key(state));
    let (token, successor) = (token.hash(), next.hash());

    let changes = account_changes(&state.platform, client, Actor::System);
    let refreshed = changes.run(async |change| {
        let refreshed = store::session::lock_by_refresh_token(change, device.as_stored(), &token, &successor)
            .await?
            .ok_or_else(invalid_refresh_token)?;
        let RefreshedSession { session, account, .. } = refreshed;
        require_active(refreshed.state)?;
        match refreshed.token_status {
            RefreshTokenStatus::Current => {
                store::session::rotate(change, session, device.as_stored(), lifetime(state), &token, &successor)
                    .await?;
            }
            RefreshTokenStatus::Retried(age) if age <= REUSE_GRACE => {}
            RefreshTokenStatus::Retried(_) | RefreshTokenStatus::Reused => {
                store::session::end(change, account, session).await?;
                change.set_actor(Actor::Account(account));
                change.audit(Action::SessionStolen, session);
                return Ok(Err((account, session)));
            }
        }
        Ok::<_, Problem>(Ok(account))
    });
    match refreshed.await? {
        Ok(account) => token_pair(state, account, &next),
        Err((account, session)) => {
            tracing::warn!(
                account.id = %account,
                session.id = %session,
                "a refresh token was used twice: its session has ended"
            );
            Err(invalid_refresh_token())
        }
    }
}

pub async fn end(state: &State, account: &SignedIn, client: &ClientInfo, session: SessionId) -> Result<(), Problem> {
    let changes = account.changes(&state.platform, client);
    changes
        .run(async |change| {
            if !store::session::end(change, account.id, session).await? {
                return Err(Problem::not_found());
            }
            change.audit(Action::SessionEnded, session);
            Ok(())
        })
        .await
}

/// Ends all sessions. Another person may have been signed in and requested links: they become void, too.
pub async fn end_all(state: &State, account: &SignedIn, client: &ClientInfo) -> Result<(), Problem> {
    let changes = account.changes(&state.platform, client);
    changes
        .run(async |change| {
            store::session::end_all(change, account.id, None).await?;
            store::mail::invalidate_links(change, account.id).await?;
            change.audit(Action::SessionAllEnded, account.id);
            Ok(())
        })
        .await
}

fn invalid_refresh_token() -> Problem {
    Problem::new(Code::RefreshTokenRefused)
}

fn refresh_key(state: &State) -> DerivedKey {
    state.platform.keys.derive_for(Uuid::nil(), KeyPurpose::RefreshToken)
}

fn lifetime(state: &State) -> SessionLifetime {
    let config::AuthConfig { session_seconds, session_longest_seconds, .. } = state.platform.config.auth;
    SessionLifetime { idle: Duration::from_secs(session_seconds), max: Duration::from_secs(session_longest_seconds) }
}

fn token_pair(state: &State, account: AccountId, refresh: &RefreshToken) -> Result<TokenPair, Problem> {
    let issued = state.authenticator.signing_keys.issue(account, refresh.session());
    let (access_token, expires_in_seconds) = issued.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(TokenPair { access_token, expires_in_seconds, refresh_token: refresh.text().expose().clone() })
}
