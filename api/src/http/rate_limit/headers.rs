//! Remembering a request's rate limit status until its response is written, as `RateLimit-*` headers.

use actix_web::{HttpMessage, HttpRequest};

use crate::problem::RateLimitStatus;

/// Keeps the status for the response; of several limits, the one that is reached first.
pub fn record(request: &HttpRequest, status: RateLimitStatus) {
    let mut extensions = request.extensions_mut();
    if extensions.get::<RateLimitStatus>().is_none_or(|other| status.remaining_share() < other.remaining_share()) {
        extensions.insert(status);
    }
}
