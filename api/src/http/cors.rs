//! CORS: the configured origins, compared exactly, may use the API from a browser.

use actix_cors::Cors;
use actix_web::http::{
    Method,
    header::{
        ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
        IF_MATCH, IF_NONE_MATCH, LOCATION, RANGE, RETRY_AFTER,
    },
};
use nvisy_shared::config::Origins;

/// How long a browser caches a preflight response.
const PREFLIGHT_CACHE_SECONDS: usize = 3600;

const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const fn custom(name: &'static str) -> HeaderName {
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
        custom("idempotency-key"),
        custom("last-event-id"),
        custom("traceparent"),
        custom("tracestate"),
        custom("x-request-id"),
    ];
    let exposed = [
        ACCEPT_RANGES,
        CONTENT_DISPOSITION,
        CONTENT_RANGE,
        ETAG,
        LOCATION,
        RETRY_AFTER,
        custom("idempotency-replayed"),
        custom("ratelimit-limit"),
        custom("ratelimit-remaining"),
        custom("ratelimit-reset"),
        custom("x-request-id"),
    ];
    let cors = Cors::default()
        .allowed_methods(METHODS)
        .allowed_headers(allowed)
        .expose_headers(exposed)
        .max_age(PREFLIGHT_CACHE_SECONDS);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
