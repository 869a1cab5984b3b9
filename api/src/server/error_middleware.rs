//! The last hand every response passes through.

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

use super::security_headers::Shield;
use crate::{
    http::{rate_limit::Standing, request_id::RequestId},
    problem::{Code, Problem},
    state::State,
};

/// What middleware has said and a problem in its place says too.
const KEPT: [&str; 3] = ["access-control-", "ratelimit-", "vary"];

/// Middleware: names the request in its response, turns every failure, also the framework's, into a problem, and counts.
pub async fn complete<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = RequestId::of(request.request());
    tracing::Span::current().record("request.id", tracing::field::display(&id));
    request.extensions_mut().insert(id.clone());
    let (method, route) = (request.method().clone(), request.match_pattern());
    let shield = request.app_data::<Shield>().cloned();
    let finish = |headers: &mut HeaderMap, status: StatusCode| {
        headers.insert(RequestId::header(), id.value());
        if let Some(shield) = &shield {
            shield.cover(headers);
        }
        metrics().http_request(method.as_str(), route.as_deref(), status.as_u16(), started.elapsed());
    };
    let mut response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        // Middleware that gave up: the request went down with what it was waiting for.
        Err(error) => {
            let early = error.error_response();
            let ours = error.as_error::<Problem>();
            let mut answer = match ours {
                Some(problem) => shown(problem, &id),
                None => shown(&Problem::new(Code::of_status(early.status())), &id),
            };
            keep(early.headers(), answer.headers_mut());
            let status = answer.status();
            finish(answer.headers_mut(), status);
            return Err(InternalError::from_response("answered", answer).into());
        }
    };
    if let Some(mut problem) = problem(&response, &id) {
        keep(response.headers(), problem.headers_mut());
        response = response.into_response(problem);
    }
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing.filter(|_| !response.headers().contains_key("ratelimit-limit")) {
        standing.tell(response.headers_mut());
    }
    let status = response.status();
    finish(response.headers_mut(), status);
    Ok(response)
}

fn keep(from: &HeaderMap, to: &mut HeaderMap) {
    let said: Vec<_> = to.keys().cloned().collect();
    for (name, value) in from {
        if KEPT.iter().any(|kept| name.as_str().starts_with(kept)) && !said.contains(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

fn shown(problem: &Problem, id: &RequestId) -> HttpResponse {
    log(problem);
    problem.respond(Some(id))
}

fn problem(response: &ServiceResponse, id: &RequestId) -> Option<HttpResponse> {
    if let Some(problem) = response.response().error().and_then(|error| error.as_error::<Problem>()) {
        return Some(shown(problem, id));
    }
    let status = response.status();
    let ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().ends_with(b"json"));
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let mut answer = shown(&Problem::new(Code::of_status(status)), id);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, allowed(response));
    }
    Some(answer)
}

/// The methods of a path stand in the OpenAPI document; what is not in there is only ever read.
fn allowed(response: &ServiceResponse) -> header::HeaderValue {
    let request = response.request();
    let state = request.app_data::<Data<State>>();
    let methods = request.match_pattern().and_then(|path| state?.document.methods(&path));
    methods.unwrap_or(header::HeaderValue::from_static("GET"))
}

/// Failures of ours, once, with all their causes. What callers do wrong is not ours to log.
fn log(problem: &Problem) {
    if !problem.code().status().is_server_error() {
        return;
    }
    let cause = problem.source().map(error_chain);
    tracing::error!(code = problem.code().name(), cause, "a request failed");
}
