//! Which pages of other origins may use the API from a browser: those the settings name, letter by letter.

use actix_cors::Cors;
use actix_web::http::{
    Method,
    header::{
        ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
        IF_MATCH, IF_NONE_MATCH, LOCATION, RANGE, RETRY_AFTER,
    },
};
use nvisy_shared::config::Origins;

/// How long a browser remembers what it may do, in seconds.
const REMEMBERED: usize = 3600;

const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const fn own(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Tokens travel in a header that only scripts set, never in a cookie, so credentials are not allowed.
pub fn cors(origins: &Origins) -> Cors {
    let allowed = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        RANGE,
        own("idempotency-key"),
        own("last-event-id"),
        own("traceparent"),
        own("tracestate"),
        own("x-request-id"),
    ];
    let exposed = [
        ACCEPT_RANGES,
        CONTENT_DISPOSITION,
        CONTENT_RANGE,
        ETAG,
        LOCATION,
        RETRY_AFTER,
        own("idempotency-replayed"),
        own("ratelimit-limit"),
        own("ratelimit-remaining"),
        own("ratelimit-reset"),
        own("x-request-id"),
    ];
    let cors =
        Cors::default().allowed_methods(METHODS).allowed_headers(allowed).expose_headers(exposed).max_age(REMEMBERED);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
