//! Before anybody is known: how often an address may try passwords, codes and the like.

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use crate::{
    http::{client_info::Origin, rate_limit},
    state::State,
};

/// Below this path are the operations that let somebody in.
const DOOR: &str = "/api/v1/auth/";
/// Not these: nobody guesses what they take, and everybody behind one address needs them all day.
const INSIDE: [&str; 2] = ["/api/v1/auth/refresh", "/api/v1/auth/logout"];

/// Middleware: counts requests to the operations that let somebody in, by address.
pub async fn doorstep<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    // As the router reads it: `/api/v1/%61uth/login` is the same door.
    let path = request.match_info().as_str();
    if path.starts_with(DOOR)
        && !INSIDE.contains(&path)
        && let Some(state) = request.app_data::<Data<State>>().cloned()
        && let Some(address) = Origin::of(request.request()).address
    {
        match rate_limit::address(&state, address).await {
            Ok(Some(standing)) => standing.note(request.request()),
            Ok(None) => {}
            Err(problem) => return Ok(request.error_response(problem).map_into_right_body()),
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}
