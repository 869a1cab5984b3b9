//! The caller's own account.

use std::{collections::BTreeMap, ops::Deref};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::{ApiComponent, Schema, reference_or::ReferenceOr, security::SecurityScheme};
use chrono::{DateTime, Utc};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    domain::{account::AccountState, activity::Actor, role::Permission},
    id::{AccountId, SessionId, WorkspaceId},
    secret::Secret,
    store::{
        self, Tx,
        credential::{AuthMethod, Caller},
    },
};

use super::{bearer, failed_logins::Refusal, password::Alone, recent_credentials};
use crate::{
    http::{client_info::Origin, gate::Gate, rate_limit},
    problem::{Code, Problem},
    state::State,
};

/// Extractor: whose session or API token it is, if that is good (else 401) and the account is active (else 403).
///
/// An API token may look and not touch: what changes an account, or makes a workspace, takes [`SignedIn`]. It is 403
/// for any method that is not safe, so that an operation which forgets that is closed to tokens, not open.
#[derive(Clone, Debug)]
pub struct CurrentAccount {
    pub id: AccountId,
    pub auth_method: AuthMethod,
    pub email: String,
    pub display_name: String,
    pub password_hash: Secret<String>,
    pub email_verified: bool,
    pub created_at: DateTime<Utc>,
    pub revision: i32,
}

/// Extractor: a person who is signed in; 403 for API tokens, which manage no credentials.
#[derive(Clone, Debug)]
pub struct SignedIn {
    account: CurrentAccount,
    pub session: SessionId,
}

impl Deref for SignedIn {
    type Target = CurrentAccount;

    fn deref(&self) -> &CurrentAccount {
        &self.account
    }
}

impl FromRequest for CurrentAccount {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let safe = request.method().is_safe();
        extract(request, move |account| match account.auth_method {
            AuthMethod::Token(..) if !safe => Err(Problem::new(Code::SessionNeeded)),
            AuthMethod::Token(..) | AuthMethod::Session(_) => Ok(account),
        })
    }
}

impl FromRequest for SignedIn {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(request, |account| match account.auth_method {
            AuthMethod::Token(..) => Err(Problem::new(Code::SessionNeeded)),
            AuthMethod::Session(session) => Ok(Self { account, session }),
        })
    }
}

/// Opens the gate for whoever is `admitted`.
fn extract<T: 'static>(
    request: &HttpRequest,
    admitted: impl FnOnce(CurrentAccount) -> Result<T, Problem> + 'static,
) -> LocalBoxFuture<'static, Result<T, Problem>> {
    let gate = Gate::shut(request);
    let presented = bearer::presented(request);
    let state = bearer::state(request).clone();
    let request = request.clone();
    Box::pin(async move {
        let credential = presented?.credential;
        let asking = store::credential::caller(&state.platform.db, &credential);
        let caller = recent_credentials::found(&request, &credential, asking).await?;
        refuse_suspended(caller.account.state)?;
        rate_limit::caller(&request, caller.account.id, &caller.auth_method).await?;
        if let AuthMethod::Token(token, _) = &caller.auth_method {
            state.last_used.note(*token);
        }
        let admitted = admitted(CurrentAccount::new(caller))?;
        gate.open();
        Ok(admitted)
    })
}

impl CurrentAccount {
    fn new(caller: Caller) -> Self {
        let Caller { account, auth_method } = caller;
        Self {
            id: account.id,
            auth_method,
            email: account.email,
            display_name: account.display_name,
            password_hash: Secret::new(account.password_hash),
            email_verified: account.email_verified_at.is_some(),
            created_at: account.created_at,
            revision: account.revision,
        }
    }

    /// As whom the activity log knows the caller.
    pub fn actor(&self) -> Actor {
        match self.auth_method {
            AuthMethod::Session(_) => Actor::Account(self.id),
            AuthMethod::Token(token, _) => Actor::Token(self.id, token),
        }
    }

    /// Fails for an API token that does not have this permission.
    pub fn may(&self, permission: Permission) -> Result<(), Problem> {
        match &self.auth_method {
            AuthMethod::Token(_, scope) if !scope.allows(permission) => Err(Problem::new(Code::ScopeMissing)),
            AuthMethod::Token(..) | AuthMethod::Session(_) => Ok(()),
        }
    }

    /// The workspaces that the caller may see, if not all of the account's.
    pub fn workspaces(&self) -> Option<&[WorkspaceId]> {
        match &self.auth_method {
            AuthMethod::Session(_) => None,
            AuthMethod::Token(_, scope) => scope.workspaces.as_deref(),
        }
    }
}

impl SignedIn {
    /// Makes sure that it is the person who asks, not somebody who found the device or the token. Tries are counted and
    /// written down as those of logging in are. Nobody else takes a turn for the account while the answer lives.
    pub async fn reauthenticate<'a>(
        &self,
        state: &'a State,
        origin: &Origin,
        password: Secret<String>,
    ) -> Result<Alone<'a>, Problem> {
        let alone = state.passwords.alone(self.id)?;
        let attempt = rate_limit::attempt(state, origin, &self.email).await?;
        if state.passwords.verify(password, Some(self.password_hash.clone())).await? {
            attempt.succeeded().await;
            return Ok(alone);
        }
        state.refusals.note(Refusal::password(self.actor(), self.id.0), origin);
        Err(Problem::new(Code::WrongPassword))
    }

    /// Locks the account for the rest of the transaction; fails when its password is no longer the one that the caller
    /// has just proved to know.
    pub async fn lock(&self, tx: &Tx) -> Result<(), Problem> {
        let same = store::account::lock_verified(tx, self.id, &self.password_hash).await?;
        same.map(drop).ok_or_else(|| Problem::new(Code::WrongPassword))
    }

    /// Locks the session for the rest of the transaction; fails when it has ended since the request was authorised. What
    /// outlives a session must not be made by one that is over.
    pub async fn still_signed_in(&self, tx: &Tx) -> Result<(), Problem> {
        let there = store::session::lock(tx, self.id, self.session).await?;
        if there { Ok(()) } else { Err(bearer::unauthenticated()) }
    }
}

/// Suspension takes effect at the next request, however long the token lasts.
pub fn refuse_suspended(state: AccountState) -> Result<(), Problem> {
    match state {
        AccountState::Active => Ok(()),
        AccountState::Suspended => Err(Problem::new(Code::AccountSuspended)),
    }
}

macro_rules! component {
    ($extractor:ident, $scheme:expr) => {
        impl ApiComponent for $extractor {
            fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
                Vec::new()
            }

            fn schema() -> Option<(String, ReferenceOr<Schema>)> {
                None
            }

            fn securities() -> BTreeMap<String, SecurityScheme> {
                bearer::schemes()
            }

            fn security_requirement_name() -> Option<String> {
                Some($scheme.to_owned())
            }
        }
    };
}

component!(CurrentAccount, bearer::TOKEN);
component!(SignedIn, bearer::SESSION);
