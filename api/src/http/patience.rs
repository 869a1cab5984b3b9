//! How long the API waits: for a body that keeps coming, and for an answer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{Method, header::CONTENT_TYPE},
    middleware::Next,
    web::{Bytes, Data},
};
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::{
    problem::{Code, Problem},
    state::State,
};

/// What a body must bring in each stretch of time. A client that trickles is cut off like one that is silent.
const LEAST: usize = 1024;

/// Middleware: a body that stops coming ends with 408, an answer that does not come with 504.
pub async fn patience<B: MessageBody>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let Some(state) = request.app_data::<Data<State>>().cloned() else { return next.call(request).await };
    let http = &state.platform.config.http;
    let payload = request.take_payload();
    if !matches!(payload, Payload::None) {
        let steady = Steady::new(payload, Duration::from_secs(http.body_seconds));
        request.set_payload(Payload::Stream { payload: Box::pin(steady) });
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

/// Whether a body ended because its sender was too slow.
pub fn is_too_slow(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// The body did not come in time.
pub fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout).detail(format!("a body brings at least {LEAST} bytes, or its end, in each wait"))
}

/// A body that fails when it stops coming. Only the waiting counts: what is done with its bytes may take its time.
struct Steady {
    payload: Payload,
    wait: Duration,
    /// What is left of the wait for the bytes that are due.
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    brought: usize,
}

impl Steady {
    fn new(payload: Payload, wait: Duration) -> Self {
        Self { payload, wait, left: wait, waiting: None, brought: 0 }
    }
}

impl Stream for Steady {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.payload.poll_next_unpin(cx);
        if polled.is_pending() {
            let left = self.left;
            let begin = || (Instant::now(), Box::pin(tokio::time::sleep(left)));
            let (_, timer) = self.waiting.get_or_insert_with(begin);
            return timer.poll_unpin(cx).map(|()| Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        }
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.brought += bytes.len();
            if self.brought >= LEAST {
                (self.brought, self.left) = (0, self.wait);
            }
        }
        polled
    }
}
