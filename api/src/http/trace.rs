//! The span of a request: it continues the caller's trace, and every log line of the request belongs to it.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use nvisy_shared::telemetry::propagation;
use tracing::{Span, field::Empty};
use tracing_actix_web::RootSpanBuilder;

/// Names and fields follow OpenTelemetry's conventions for HTTP servers.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
        let span = tracing::info_span!(
            "request",
            otel.name = format!("{} {route}", request.method()),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = %request.method(),
            http.route = route,
            http.response.status_code = Empty,
            request.id = Empty,
            workspace.id = Empty,
        );
        propagation::extract_parent(&span, |name| request.headers().get(name)?.to_str().ok());
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}
