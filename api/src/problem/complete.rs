//! The last hand every response passes through.

use std::{error::Error as _, time::Instant};

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web::Data,
};
use nvisy_shared::{error_chain, telemetry::metrics::metrics};

use super::{Code, Problem};
use crate::{http::request_id::RequestId, state::State};

/// Middleware: names the request in its response, turns every failure, also the framework's, into a problem, and counts.
pub(crate) async fn complete<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    tracing::Span::current().record("request.id", tracing::field::display(&id));
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(problem) = problem(&response, &id) {
        response = response.into_response(problem);
    }
    response.headers_mut().insert(RequestId::header(), id.value());
    count(&response, started);
    Ok(response)
}

fn problem(response: &ServiceResponse, id: &RequestId) -> Option<HttpResponse> {
    if let Some(problem) = response.response().error().and_then(|error| error.as_error::<Problem>()) {
        log(problem);
        return Some(problem.respond(Some(id)));
    }
    let status = response.status();
    let ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().ends_with(b"json"));
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let problem = Problem::new(Code::of_status(status));
    log(&problem);
    let mut answer = problem.respond(Some(id));
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
    if !problem.code.status().is_server_error() {
        return;
    }
    let cause = problem.source().map(error_chain);
    tracing::error!(code = problem.code.name(), cause, "a request failed");
}

fn count(response: &ServiceResponse, started: Instant) {
    let request = response.request();
    let route = request.match_pattern();
    let took = started.elapsed();
    metrics().http_request(request.method().as_str(), route.as_deref(), response.status().as_u16(), took);
}
