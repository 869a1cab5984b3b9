//! The `Authorization: Bearer` header.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::header::AUTHORIZATION, web::Data};
use apistos::security::{Http, SecurityScheme, SecurityType};
use nvisy_shared::id::AccountId;

use crate::{
    http::single::single,
    problem::{Code, Problem},
    state::State,
};

/// Its name in the OpenAPI document.
pub(super) const SCHEME: &str = "bearer";

pub(super) fn schemes() -> BTreeMap<String, SecurityScheme> {
    let bearer = Http { scheme: "bearer".to_owned(), bearer_format: Some("JWT".to_owned()) };
    let scheme = SecurityScheme {
        _type: SecurityType::Http(bearer),
        description: Some("The `accessToken` of `POST /api/v1/auth/login`.".to_owned()),
        extensions: Default::default(),
    };
    BTreeMap::from([(SCHEME.to_owned(), scheme)])
}

/// Whose valid token the request carries.
pub(super) fn subject(request: &HttpRequest) -> Result<AccountId, Problem> {
    // Of two headers, nobody can say which one counts.
    let header = single(request.headers(), AUTHORIZATION.as_str()).ok().flatten();
    let token = header.and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    let keys = &state(request).keys;
    token.and_then(|token| keys.verify(token.trim())).ok_or_else(unauthenticated)
}

pub(super) fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
}

pub(super) fn state(request: &HttpRequest) -> &Data<State> {
    request.app_data().expect("the server shares its state with every request")
}
