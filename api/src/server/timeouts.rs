//! How long the API waits: for a body that keeps coming, and for an answer.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{Method, header::CONTENT_TYPE},
    middleware::Next,
    web::Data,
};

use crate::{
    http::stall_guard::StallGuard,
    problem::{Code, Problem},
    state::State,
};

/// Middleware: a body that stops coming ends with 408, an answer that does not come with 504.
pub async fn patience<B: MessageBody>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let Some(state) = request.app_data::<Data<State>>().cloned() else { return next.call(request).await };
    let http = &state.platform.config.http;
    let payload = request.take_payload();
    if !matches!(payload, Payload::None) {
        let guarded = StallGuard::new(payload, Duration::from_secs(http.body_seconds));
        request.set_payload(Payload::Stream { payload: Box::pin(guarded) });
    }
    // An upload takes as long as its bytes take to come.
    if is_upload(&request) {
        return next.call(request).await;
    }
    match tokio::time::timeout(Duration::from_secs(http.request_seconds), next.call(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(Problem::new(Code::TimedOut).into()),
    }
}

fn is_upload(request: &ServiceRequest) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    request.method() == Method::POST
        && request.match_info().as_str().ends_with("/files")
        && kind.starts_with(b"multipart/")
}
