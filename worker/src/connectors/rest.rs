//! Servers that are called over HTTP with JSON.

use std::time::Duration;

use nvisy_shared::{
    domain::connection::{
        CheckStep,
        vectors::{VectorCredentials, VectorSettings},
    },
    outbound::GuardedClient,
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    CallFailure, OpenConnection,
    target::{invalid, is_mismatch, mismatch, rejected, step, too_large},
};
use crate::{
    context::Context,
    providers::failure::{message, retry_after},
};

/// Largest response that is read.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// The server of a connection.
pub(super) struct Server {
    client: GuardedClient,
    connection: OpenConnection,
    settings: VectorSettings,
    credentials: Option<VectorCredentials>,
}

impl Server {
    pub(super) fn new(cx: &Context, connection: &OpenConnection) -> Result<Self, CallFailure> {
        Ok(Self {
            client: cx.outbound.clone(),
            connection: connection.clone(),
            settings: connection.settings()?,
            credentials: connection.credentials()?,
        })
    }

    /// The key, if there is one.
    pub(super) fn key(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.api_key.expose().as_str())
    }

    /// The header of a bearer token, if there is a key.
    pub(super) fn bearer(&self) -> Vec<(&'static str, String)> {
        self.key().map(|key| ("authorization", format!("Bearer {key}"))).into_iter().collect()
    }

    /// Sends a request, and returns the JSON of a successful response.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        headers: Vec<(&'static str, String)>,
        body: Option<&Value>,
    ) -> Result<Value, CallFailure> {
        let mut url = self.settings.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let timeout = Duration::from_secs(self.settings.timeout_seconds.into());
        let mut request = self.client.request(method, url).timeout(timeout);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.client.send(request, MAX_RESPONSE_BYTES).await;
        let response = response.map_err(|failure| CallFailure::from(failure).redacted(&self.connection))?;
        if !response.status.is_success() {
            return Err(of_status(response.status, &response.headers, &response.body).redacted(&self.connection));
        }
        if response.body.is_empty() {
            return Ok(Value::Null);
        }
        let body = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
        serde_json::from_slice(body).map_err(|_| invalid("it is not JSON"))
    }
}

/// A check of one step: a call that succeeds if the server is there and accepts the key.
pub(super) fn checked(answered: Result<String, CallFailure>) -> Vec<CheckStep> {
    vec![step("answer", answered.map_err(|failure| failure.to_string()))]
}

/// Whether a deletion failed because the place is gone, with everything in it.
pub(super) fn unless_gone(deleted: Result<Value, CallFailure>) -> Result<(), CallFailure> {
    match deleted {
        Ok(_) => Ok(()),
        Err(failure) if is_mismatch(&failure) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// The failure of a response that lacks something.
pub(super) fn missing(what: &str) -> CallFailure {
    invalid(format!("it has no {what}"))
}

/// The failure of a status other than success.
fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallFailure {
    let message = message(&serde_json::from_slice(body).unwrap_or_default());
    let reason = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    let retry_after = retry_after(headers);
    match status.as_u16() {
        429 => CallFailure::Busy { retry_after, reason },
        503 if retry_after.is_some() => CallFailure::Busy { retry_after, reason },
        300..=399 => CallFailure::Blocked(format!("{status}: redirects are not followed; correct the address")),
        401..=403 => CallFailure::Blocked(reason),
        404 => mismatch(reason),
        413 => too_large(reason),
        408 | 409 | 425 | 500.. => CallFailure::Unavailable(reason),
        _ if is_about_dimension(&reason) => mismatch(reason),
        _ => rejected(reason),
    }
}

/// Whether a message says that vectors have another length than those that are there.
pub(super) fn is_about_dimension(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["dimension", "vector length", "lengths don't match"].iter().any(|words| message.contains(words))
}

/// What a failure means, in the words of tests.
#[cfg(test)]
pub(super) fn meaning(failure: &CallFailure) -> &'static str {
    match failure {
        CallFailure::Item(failure) => failure.code.as_str(),
        failure => failure.name(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_decides_what_helps() {
        let of = |status: u16, text: &str| {
            let body = json!({ "status": { "error": text } }).to_string();
            meaning(&of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()))
        };
        assert_eq!(of(400, "Wrong input: Vector dimension error: expected dim: 4, got 3"), "target_mismatch");
        assert_eq!(of(422, "no"), "provider_rejected");
        assert_eq!([401, 403, 302].map(|status| of(status, "no")), ["blocked"; 3]);
        assert_eq!((of(404, "no"), of(413, "no"), of(429, "no")), ("target_mismatch", "too_large", "busy"));
        assert_eq!([500, 502, 503].map(|status| of(status, "no")), ["unavailable"; 3]);
    }
}
