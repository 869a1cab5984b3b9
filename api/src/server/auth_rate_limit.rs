//! Limits requests to authentication operations by network, before the caller is known.

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use crate::http::{
    client_info::ClientInfo,
    rate_limit::{self, RateLimiter},
};

/// Operations that take passwords, codes and links are below this path.
const AUTH_PREFIX: &str = "/api/v1/auth/";
/// Their tokens cannot be guessed, and all clients behind one address need these operations all day.
const EXEMPT_PATHS: [&str; 2] = ["/api/v1/auth/refresh", "/api/v1/auth/logout"];

/// Middleware: counts requests to authentication operations by network; 429 above the limit.
pub async fn auth_rate_limit<B: MessageBody>(
    limiter: Data<RateLimiter>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    // As the router decodes it: `/api/v1/%61uth/login` is the same operation.
    let path = request.match_info().as_str();
    if path.starts_with(AUTH_PREFIX) && !EXEMPT_PATHS.contains(&path) {
        match limiter.count_address(ClientInfo::of(request.request()).network()).await {
            Ok(Some(status)) => rate_limit::record(request.request(), status),
            Ok(None) => {}
            Err(problem) => return Ok(request.error_response(problem).map_into_right_body()),
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}
