//! The `Authorization: Bearer` header: an access token of a session, or an API token.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::header::AUTHORIZATION, web::Data};
use apistos::security::{Http, SecurityScheme, SecurityType};
use nvisy_shared::{
    crypt::opaque::{self, Kind},
    store::credential::Credential,
};

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

/// What the request carries, as far as it can be checked without asking anybody.
pub(super) fn credential(request: &HttpRequest) -> Result<Credential, Problem> {
    // Of two headers, nobody can say which one counts.
    let header = single(request.headers(), AUTHORIZATION.as_str()).ok().flatten();
    let token = header.and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.ok_or_else(unauthenticated)?;
    let credential = if token.starts_with(Kind::Api.prefix()) {
        opaque::hash(Kind::Api, token).map(Credential::Token)
    } else {
        let session = state(request).keys.verify(token);
        session.map(|(account, session)| Credential::Session { account, session })
    };
    credential.ok_or_else(unauthenticated)
}

pub(super) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
}

pub(super) fn state(request: &HttpRequest) -> &Data<State> {
    request.app_data().expect("the server shares its state with every request")
}
