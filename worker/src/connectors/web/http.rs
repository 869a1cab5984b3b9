//! Requests of all providers of the web: credentials, failures by status, bodies while they are read.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::TryStreamExt;
use nvisy_shared::{
    domain::{connection::web::WebCredentials, failure::FailureCode},
    outbound::{GuardedClient, OutboundFailure},
};
use reqwest::{
    Method, Request, Response, StatusCode, Url,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    connectors::{CallFailure, objects::read::checked, source::Content},
    providers::failure::{message, retry_after},
};

/// Longest time for one response of unknown length; a stalled one ends earlier.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The header `Authorization` of credentials: a token as `Bearer`.
pub(super) fn authorization(credentials: &WebCredentials) -> Option<HeaderValue> {
    match (&credentials.username, &credentials.password, &credentials.token) {
        (Some(username), Some(password), _) => basic(username, password.expose()),
        (_, _, Some(token)) => secret(&format!("Bearer {}", token.expose())),
        _ => None,
    }
}

/// The header `Authorization` of a user.
pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    secret(&format!("Basic {encoded}"))
}

/// A value that logs of the HTTP client do not show.
pub(super) fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A request without credentials.
pub(super) fn request(method: Method, url: Url) -> Request {
    Request::new(method, url)
}

/// A request with a header, if it has a value.
pub(super) fn with_header(mut request: Request, name: HeaderName, value: Option<HeaderValue>) -> Request {
    if let Some(value) = value {
        request.headers_mut().insert(name, value);
    }
    request
}

/// A request with credentials.
pub(super) fn authorized(request: Request, authorization: Option<&HeaderValue>) -> Request {
    with_header(request, AUTHORIZATION, authorization.cloned())
}

/// Sends a request, and waits for the head of the response; its body may take as long as it makes progress.
pub(super) async fn open(
    client: &GuardedClient,
    mut request: Request,
    timeout: Duration,
) -> Result<Response, OutboundFailure> {
    *request.timeout_mut() = Some(RESPONSE_TIMEOUT);
    tokio::time::timeout(timeout, client.open(request)).await.unwrap_or(Err(OutboundFailure::Timeout))
}

/// The content of a response as it arrives. One that the server compressed without being asked is read at once, because its length
/// is unknown; the operator's limit of responses holds for it.
pub(super) async fn content(client: &GuardedClient, response: Response) -> Result<Content, CallFailure> {
    if is_encoded(response.headers()) {
        let body = client.read(response, usize::MAX).await.map_err(body_failure)?;
        return Ok(Box::pin(futures::stream::iter([Ok(body)])));
    }
    let expected = response.content_length();
    let content = response.bytes_stream().map_err(|error| CallFailure::from(OutboundFailure::of(error)));
    Ok(checked(content, expected, async { Ok(()) }))
}

/// Reads the beginning of a body, and not more.
pub(super) async fn read_prefix(mut response: Response, max_bytes: usize) -> Result<Bytes, OutboundFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(OutboundFailure::of)? {
        let room = max_bytes - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == max_bytes {
            break;
        }
    }
    Ok(body.into())
}

/// Whether a body is compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.is_some_and(|encoding| !encoding.trim().is_empty() && !encoding.trim().eq_ignore_ascii_case("identity"))
}

/// Asks for a body that is not compressed.
pub(super) fn uncompressed(request: Request) -> Request {
    with_header(request, ACCEPT_ENCODING, Some(HeaderValue::from_static("identity")))
}

/// Asks for a body in a compression that [`GuardedClient::read`] knows.
pub(super) fn compressed(request: Request) -> Request {
    with_header(request, ACCEPT_ENCODING, Some(HeaderValue::from_static("gzip, deflate")))
}

/// The failure of a body: one that is too large concerns one object.
pub(super) fn body_failure(failure: OutboundFailure) -> CallFailure {
    match failure {
        OutboundFailure::TooLarge(_) => CallFailure::item(FailureCode::TooLarge, failure.to_string()),
        failure => failure.into(),
    }
}

/// The failure of a status other than success. `body` is searched for the server's message.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallFailure {
    let message = message(&serde_json::from_slice(body).unwrap_or_default());
    let reason = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    let retry_after = retry_after(headers);
    match status.as_u16() {
        429 => CallFailure::Busy { retry_after, reason },
        503 if retry_after.is_some() => CallFailure::Busy { retry_after, reason },
        300..=399 => CallFailure::Blocked(format!("{status}: redirects are not followed; correct the address")),
        401 | 403 | 407 => CallFailure::Blocked(reason),
        404 | 410 => CallFailure::item(FailureCode::SourceMissing, reason),
        408 | 425 | 500.. => CallFailure::Unavailable(reason),
        _ => CallFailure::item(FailureCode::SourceRejected, reason),
    }
}

/// The text of a header.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides_what_helps() {
        let of = |status: u16| match of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"<p>") {
            CallFailure::Item(failure) => failure.code.as_str(),
            failure => failure.name(),
        };
        assert_eq!([401, 403, 302].map(of), ["blocked"; 3]);
        assert_eq!([404, 410].map(of), ["source_missing"; 2]);
        assert_eq!((of(400), of(422), of(429)), ("source_rejected", "source_rejected", "busy"));
        assert_eq!([408, 500, 502, 503].map(of), ["unavailable"; 4]);
    }
}
