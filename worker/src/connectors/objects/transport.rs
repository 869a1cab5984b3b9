//! The HTTP of opendal: the client that checks addresses.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use http::{Method, Request, Response, StatusCode};
use nvisy_shared::outbound::{GuardedClient, OutboundFailure};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};

/// Longest time for one response; a stalled one ends earlier.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Longest wait that a store may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Sends the requests of an operator.
#[derive(Clone, Debug)]
pub(super) struct GuardedTransport {
    client: GuardedClient,
    max_bytes: u64,
    retry_after: Arc<Mutex<Option<Duration>>>,
}

impl GuardedTransport {
    /// Reads responses of at most `max_bytes`.
    pub(super) fn new(client: GuardedClient, max_bytes: u64) -> Self {
        Self { client, max_bytes, retry_after: Arc::default() }
    }

    /// The wait that the last busy response asked for.
    pub(super) fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note_retry_after(&self, response: &reqwest::Response) {
        if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return;
        }
        let header = response.headers().get(http::header::RETRY_AFTER);
        let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let wait = seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = wait;
    }
}

impl HttpTransport for GuardedTransport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let is_head = request.method() == Method::HEAD;
        let request = request.map(|body| body.to_bytes());
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| Error::new(ErrorKind::ConfigInvalid, "the request cannot be built").set_source(error))?;
        *request.timeout_mut() = Some(RESPONSE_TIMEOUT);
        let response = self.client.open(request).await.map_err(failed)?;
        self.note_retry_after(&response);
        let length = if is_head { None } else { response.content_length() };
        let max_bytes = self.max_bytes;
        if length.is_some_and(|length| length > max_bytes) {
            return Err(too_large(max_bytes));
        }
        let mut head = Response::builder().status(response.status()).version(response.version());
        if let Some(headers) = head.headers_mut() {
            *headers = response.headers().clone();
        }
        let mut read = 0;
        let body = response.bytes_stream().map_err(|error| failed(OutboundFailure::of(error)));
        let body = body.map(move |bytes| {
            let bytes = bytes?;
            read += bytes.len() as u64;
            if read > max_bytes { Err(too_large(max_bytes)) } else { Ok(Buffer::from(bytes)) }
        });
        head.body(HttpBody::new(body, length))
            .map_err(|error| Error::new(ErrorKind::Unexpected, "the response cannot be read").set_source(error))
    }
}

/// The response has more bytes than are read, whenever it is asked for.
#[derive(Debug, thiserror::Error)]
#[error("the store's response has more than {0} bytes")]
pub(super) struct ResponseTooLarge(u64);

fn too_large(max_bytes: u64) -> Error {
    Error::new(ErrorKind::Unexpected, "the response is too large").set_source(ResponseTooLarge(max_bytes))
}

/// The error of opendal for a failed call; [`super::store`] finds the cause in it.
fn failed(failure: OutboundFailure) -> Error {
    let error = Error::new(ErrorKind::Unexpected, "the call failed");
    let error = if failure.is_temporary() { error.set_temporary() } else { error };
    error.set_source(failure)
}
