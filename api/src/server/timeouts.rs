//! How long the API waits: for a body that keeps arriving, and for a response.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{Method, header::CONTENT_TYPE},
    middleware::Next,
};
use nvisy_shared::config::HttpConfig;

use crate::{
    http::stall_guard::StallGuard,
    problem::{Code, Problem},
};

/// The configured waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    body: Duration,
    response: Duration,
}

impl Timeouts {
    pub fn new(http: &HttpConfig) -> Self {
        Self { body: Duration::from_secs(http.body_seconds), response: Duration::from_secs(http.request_seconds) }
    }

    /// Middleware: a body that stops arriving ends with 408, a response that does not come in time with 504.
    pub async fn apply<B: MessageBody>(
        self,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<B>, Error> {
        let payload = request.take_payload();
        if !matches!(payload, Payload::None) {
            let guarded = StallGuard::new(payload, self.body);
            request.set_payload(Payload::Stream { payload: Box::pin(guarded) });
        }
        // An upload takes as long as its bytes take to arrive.
        if is_upload(&request) {
            return next.call(request).await;
        }
        match tokio::time::timeout(self.response, next.call(request)).await {
            Ok(response) => response,
            Err(_) => Err(Problem::new(Code::TimedOut).into()),
        }
    }
}

fn is_upload(request: &ServiceRequest) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let path = request.match_info().as_str();
    request.method() == Method::POST
        && (path.ends_with("/files") || path.ends_with("/runs"))
        && content_type.starts_with(b"multipart/")
}
