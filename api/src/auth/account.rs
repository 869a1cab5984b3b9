//! The caller's own account.

use std::collections::BTreeMap;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::{ApiComponent, Schema, reference_or::ReferenceOr, security::SecurityScheme};
use chrono::{DateTime, Utc};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    domain::{account::AccountState, activity::Actor},
    id::AccountId,
    store,
};

use super::{bearer, gate::Gate};
use crate::{
    http::limit,
    problem::{Code, Problem},
};

/// Extractor: whoever the access token names, if the account still exists (else 401) and is active (else 403).
#[derive(Clone, Debug)]
pub(crate) struct CurrentAccount {
    pub(crate) id: AccountId,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) created_at: DateTime<Utc>,
}

impl FromRequest for CurrentAccount {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::shut(request);
        let subject = bearer::subject(request);
        let state = bearer::state(request).clone();
        let request = request.clone();
        Box::pin(async move {
            let account =
                store::account::by_id(&state.platform.db, subject?).await?.ok_or_else(bearer::unauthenticated)?;
            refuse_suspended(account.state)?;
            limit::account(&request, account.id).await?;
            gate.open();
            Ok(Self {
                id: account.id,
                email: account.email,
                display_name: account.display_name,
                created_at: account.created_at,
            })
        })
    }
}

impl CurrentAccount {
    /// As whom the activity log knows the caller.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Account(self.id)
    }
}

/// Suspension takes effect at the next request, however long the token lasts.
pub(crate) fn refuse_suspended(state: AccountState) -> Result<(), Problem> {
    match state {
        AccountState::Active => Ok(()),
        AccountState::Suspended => Err(Problem::new(Code::AccountSuspended)),
    }
}

impl ApiComponent for CurrentAccount {
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
        Some(bearer::SCHEME.to_owned())
    }
}
