//! The middleware that completes every response.

use std::{error::Error as _, time::Instant};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    middleware::Next,
    web::Data,
};
use nvisy_shared::{error_chain, telemetry::metrics::metrics};

use super::{openapi::OpenApiDocument, security_headers::SecurityHeaders};
use crate::{
    http::request_id::RequestId,
    problem::{Code, Problem, RateLimitStatus},
};

/// Headers of a failed response that its problem keeps.
const KEPT_HEADER_PREFIXES: [&str; 3] = ["access-control-", "ratelimit-", "vary"];

/// Middleware: adds the request's id and the security headers, turns every failure, also the framework's, into a problem,
/// and measures the request.
pub async fn error_middleware<B: MessageBody + 'static>(
    security_headers: SecurityHeaders,
    document: Data<OpenApiDocument>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = RequestId::of(request.request());
    tracing::Span::current().record("request.id", tracing::field::display(&id));
    request.extensions_mut().insert(id.clone());
    let (method, route) = (request.method().clone(), request.match_pattern());
    let finish = |headers: &mut HeaderMap, status: StatusCode| {
        headers.insert(RequestId::header(), id.value());
        security_headers.add_to(headers);
        metrics().http_request(method.as_str(), route.as_deref(), status.as_u16(), started.elapsed());
    };
    let mut response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        // Middleware failed and dropped the request.
        Err(error) => {
            let framework = error.error_response();
            let mut response = match error.as_error::<Problem>() {
                Some(problem) => respond(problem, &id),
                None => respond(&Problem::new(Code::of_status(framework.status())), &id),
            };
            keep_headers(framework.headers(), response.headers_mut());
            let status = response.status();
            finish(response.headers_mut(), status);
            return Err(InternalError::from_response("the response is complete", response).into());
        }
    };
    if let Some(mut problem) = problem_response(&response, &document, &id) {
        keep_headers(response.headers(), problem.headers_mut());
        response = response.into_response(problem);
    }
    let limit = response.request().extensions().get::<RateLimitStatus>().copied();
    if let Some(limit) = limit.filter(|_| !response.headers().contains_key("ratelimit-limit")) {
        limit.write_headers(response.headers_mut());
    }
    let status = response.status();
    finish(response.headers_mut(), status);
    Ok(response)
}

fn keep_headers(from: &HeaderMap, to: &mut HeaderMap) {
    let present: Vec<_> = to.keys().cloned().collect();
    for (name, value) in from {
        if KEPT_HEADER_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)) && !present.contains(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn respond(problem: &Problem, id: &RequestId) -> HttpResponse {
    log(problem);
    problem.respond(Some(&id.to_string()))
}

/// The problem in the place of a failed response; `None` for a response that stays as it is.
fn problem_response(response: &ServiceResponse, document: &OpenApiDocument, id: &RequestId) -> Option<HttpResponse> {
    if let Some(problem) = response.response().error().and_then(|error| error.as_error::<Problem>()) {
        return Some(respond(problem, id));
    }
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().ends_with(b"json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let mut replacement = respond(&Problem::new(Code::of_status(status)), id);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        replacement.headers_mut().insert(header::ALLOW, allowed_methods(response, document));
    }
    Some(replacement)
}

/// The methods of a path as the OpenAPI document has them; paths outside of it are read-only.
fn allowed_methods(response: &ServiceResponse, document: &OpenApiDocument) -> header::HeaderValue {
    let methods = response.request().match_pattern().and_then(|path| document.methods(&path));
    methods.unwrap_or(header::HeaderValue::from_static("GET, HEAD"))
}

/// Logs server errors, once, with all their causes. Client errors are not logged, and neither is an operation that the
/// configuration leaves out (501): both are what the caller asked for, not a failure.
fn log(problem: &Problem) {
    let status = problem.code().status();
    if !status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED {
        return;
    }
    let cause = problem.source().map(error_chain);
    tracing::error!(code = problem.code().name(), cause, "a request failed");
}
