//! Extractors of the caller's account.

use std::{collections::BTreeMap, ops::Deref};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::security::SecurityScheme;
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

use super::{authenticator::Authenticator, bearer};
use crate::{
    http::{api_component::api_component, client_info::ClientInfo, component::component, gate::Gate},
    problem::{Code, Problem},
};

/// Extractor: the account of a valid session or API token (else 401), if it is active (else 403).
///
/// API tokens may only read here: operations that change an account, or create a workspace, take [`SignedIn`]. An unsafe
/// method is 403 for tokens, so that an operation that takes the wrong extractor is closed to them, not open.
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

/// Extractor: the account of a session; 403 for API tokens, which manage no credentials.
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

/// Opens the gate if `authorize` accepts the account.
fn extract<T: 'static>(
    request: &HttpRequest,
    authorize: impl FnOnce(CurrentAccount) -> Result<T, Problem> + 'static,
) -> LocalBoxFuture<'static, Result<T, Problem>> {
    let gate = Gate::close(request);
    let authenticator = component::<Authenticator>(request).clone();
    let request = request.clone();
    Box::pin(async move {
        let credential = authenticator.credential(&request)?.credential;
        let lookup = store::credential::caller(&authenticator.db, &credential);
        let caller = authenticator.look_up(&ClientInfo::of(&request), &credential, lookup).await?;
        require_active(caller.account.state)?;
        authenticator.limiter.count_caller(&request, caller.account.id, &caller.auth_method).await?;
        if let AuthMethod::Token(token, _) = &caller.auth_method {
            authenticator.record_use(*token);
        }
        let authorized = authorize(CurrentAccount::new(caller))?;
        gate.open();
        Ok(authorized)
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

    /// The caller as the activity log records it.
    pub fn actor(&self) -> Actor {
        match self.auth_method {
            AuthMethod::Session(_) => Actor::Account(self.id),
            AuthMethod::Token(token, _) => Actor::Token(self.id, token),
        }
    }

    /// 403 for an API token without this permission.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        match &self.auth_method {
            AuthMethod::Token(_, scope) if !scope.allows(permission) => Err(Problem::new(Code::ScopeMissing)),
            AuthMethod::Token(..) | AuthMethod::Session(_) => Ok(()),
        }
    }

    /// The workspaces that an API token is limited to.
    pub fn workspaces(&self) -> Option<&[WorkspaceId]> {
        match &self.auth_method {
            AuthMethod::Session(_) => None,
            AuthMethod::Token(_, scope) => scope.workspaces.as_deref(),
        }
    }
}

impl SignedIn {
    /// Locks the account for the rest of the transaction; fails if its password has changed since the caller proved to know
    /// it.
    pub async fn lock(&self, tx: &Tx) -> Result<(), Problem> {
        let same = store::account::lock_verified(tx, self.id, &self.password_hash).await?;
        same.map(drop).ok_or_else(|| Problem::new(Code::WrongPassword))
    }

    /// Locks the session for the rest of the transaction; fails if it has ended since the request was authorized. An ended
    /// session must not create anything that outlives it.
    pub async fn lock_session(&self, tx: &Tx) -> Result<(), Problem> {
        let is_active = store::session::lock(tx, self.id, self.session).await?;
        if is_active { Ok(()) } else { Err(bearer::unauthenticated()) }
    }
}

/// 403 for a suspended account: suspension takes effect at the next request, however long a token is valid.
pub fn require_active(state: AccountState) -> Result<(), Problem> {
    match state {
        AccountState::Active => Ok(()),
        AccountState::Suspended => Err(Problem::new(Code::AccountSuspended)),
    }
}

/// The methods that name an extractor's security scheme in the OpenAPI document.
macro_rules! secured {
    ($extractor:ident, $scheme:expr) => {
        api_component!($extractor {
            fn securities() -> BTreeMap<String, SecurityScheme> {
                bearer::schemes()
            }

            fn security_requirement_name() -> Option<String> {
                Some($scheme.to_owned())
            }
        });
    };
}

secured!(CurrentAccount, bearer::TOKEN);
secured!(SignedIn, bearer::SESSION);
