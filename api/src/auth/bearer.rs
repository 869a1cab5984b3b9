//! The `Authorization: Bearer` header: an access token of a session, or an API token.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::header::AUTHORIZATION, web::Data};
use apistos::security::{Http, SecurityScheme, SecurityType};
use chrono::{DateTime, Utc};
use nvisy_shared::{
    crypt::opaque::{self, Kind},
    store::credential::Credential,
};

use super::{token::Keys, verified};
use crate::{
    http::single::single,
    problem::{Code, Problem},
    state::State,
};

/// Their names in the OpenAPI document.
pub(crate) const SESSION: &str = "bearer";
pub(crate) const TOKEN: &str = "apiToken";

pub(super) fn schemes() -> BTreeMap<String, SecurityScheme> {
    let scheme = |format: &str, description: &str| SecurityScheme {
        _type: SecurityType::Http(Http { scheme: "bearer".to_owned(), bearer_format: Some(format.to_owned()) }),
        description: Some(description.to_owned()),
        extensions: Default::default(),
    };
    let session = scheme("JWT", "The `accessToken` of `POST /api/v1/auth/login`.");
    let token =
        scheme("nvisy_", "The `secret` of `POST /api/v1/account/tokens`, within its permissions and workspaces.");
    BTreeMap::from([(SESSION.to_owned(), session), (TOKEN.to_owned(), token)])
}

/// A credential, as far as it can be checked without asking anybody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    pub(super) credential: Credential,
    /// The last second in which it is good, where it says so itself.
    pub(super) until: Option<DateTime<Utc>>,
}

/// What the request carries.
pub(super) fn presented(request: &HttpRequest) -> Result<Presented, Problem> {
    // Of two headers, nobody can say which one counts.
    let header = single(request.headers(), AUTHORIZATION.as_str()).ok().flatten();
    let token = header.and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.ok_or_else(unauthenticated)?;
    check(&state(request).keys, token).ok_or_else(unauthenticated)
}

/// `None` for whatever was not made here.
fn check(keys: &Keys, token: &str) -> Option<Presented> {
    if token.starts_with(Kind::Api.prefix()) {
        let hash = opaque::hash(Kind::Api, token)?;
        return Some(Presented { credential: Credential::Token(hash), until: None });
    }
    let verified::Claims { account, session, until, .. } = keys.verify(token)?;
    // Further away than there are dates: never.
    let until = i64::try_from(until.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    Some(Presented { credential: Credential::Session { account, session }, until })
}

pub(super) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
}

pub(super) fn state(request: &HttpRequest) -> &Data<State> {
    request.app_data().expect("the server shares its state with every request")
}
