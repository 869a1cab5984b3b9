//! The component that authenticates: it verifies credentials and passwords, and counts those that are invalid.

use std::time::Instant;

use actix_web::{HttpRequest, web::Data};
use nvisy_shared::{
    id::TokenId,
    secret::Secret,
    store::{self, Db, credential::Credential},
};

use super::{
    account::SignedIn,
    bearer::{self, BearerCredential},
    failed_logins::{FailedLogin, FailedLogins},
    jwt::SigningKeys,
    last_used::LastUsed,
    password::{Passwords, PerAccountLock},
    recent_credentials::RecentCredentials,
    second_factor::SecondFactor,
};
use crate::{
    http::{client_info::ClientInfo, rate_limit::RateLimiter},
    problem::{Code, Problem},
};

/// Component: everything that authenticating extractors and operations share.
pub struct Authenticator {
    pub db: Db,
    pub limiter: Data<RateLimiter>,
    pub signing_keys: SigningKeys,
    pub passwords: Passwords,
    pub second_factor: SecondFactor,
    pub failed_logins: FailedLogins,
    pub last_used: LastUsed,
    recent: RecentCredentials,
}

impl Authenticator {
    pub fn new(
        db: Db,
        limiter: Data<RateLimiter>,
        signing_keys: SigningKeys,
        passwords: Passwords,
        second_factor: SecondFactor,
    ) -> Self {
        Self {
            db,
            limiter,
            signing_keys,
            passwords,
            second_factor,
            failed_logins: FailedLogins::default(),
            last_used: LastUsed::new(),
            recent: RecentCredentials::new(),
        }
    }

    /// The credential in the request's header, as far as it can be verified without the database.
    pub fn credential(&self, request: &HttpRequest) -> Result<BearerCredential, Problem> {
        BearerCredential::from_request(request, &self.signing_keys)
    }

    /// Runs `lookup` for a credential: 401 where it finds nothing, and 429 without running it where the client's network has
    /// sent too many invalid credentials, unless this one was valid a short while ago.
    pub async fn look_up<T>(
        &self,
        client: &ClientInfo,
        credential: &Credential,
        lookup: impl Future<Output = store::Result<Option<T>>>,
    ) -> Result<T, Problem> {
        let found = if self.recent.contains(credential, Instant::now()) {
            lookup.await?
        } else {
            self.limiter.limit_invalid(client, lookup).await?
        };
        match &found {
            Some(_) => self.recent.insert(credential, Instant::now()),
            // It has been revoked or has expired: from now on it counts like any other.
            None => self.recent.remove(credential),
        }
        found.ok_or_else(bearer::unauthenticated)
    }

    /// Records that an API token is used now.
    pub fn record_use(&self, token: TokenId) {
        self.last_used.record(token);
    }

    /// Verifies the password of a caller who is signed in, against a stolen device or token. Attempts are limited and
    /// recorded as those of logging in are. While the lock is held, no other request of the account verifies a password.
    pub async fn reauthenticate(
        &self,
        account: &SignedIn,
        client: &ClientInfo,
        password: Secret<String>,
    ) -> Result<PerAccountLock<'_>, Problem> {
        let lock = self.passwords.lock_account(account.id)?;
        let attempt = self.limiter.attempt(client, &account.email).await?;
        if self.passwords.verify(password, Some(account.password_hash.clone())).await? {
            attempt.succeeded().await;
            return Ok(lock);
        }
        self.failed_logins.record(FailedLogin::password(account.actor(), account.id.0), client);
        Err(Problem::new(Code::WrongPassword))
    }
}
