//! Calls of a service of the tenant: addresses, signatures, repetitions, and the meaning of each response.

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use nvisy_shared::{
    clock,
    crypt::webhook_signature::{SigningSecret, signatures},
    domain::failure::{Failure, FailureCode},
    id::WorkspaceId,
    outbound::{OutboundFailure, OutboundResponse},
    platform::Platform,
    store,
};
use reqwest::{Method, StatusCode, Url, header::RETRY_AFTER};
use sha2::{Digest, Sha256};

use crate::runner::JobError;

/// Bytes of a response that nothing depends on.
pub(crate) const MAX_IGNORED_BYTES: usize = 64 * 1024;
/// Waits before a request is repeated within the job.
const REPETITIONS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// A request that took longer than this is not repeated within the job.
const QUICK_FAILURE: Duration = Duration::from_secs(5);
/// The wait for a service that is busy and says nothing of the time.
const BUSY_DELAY: Duration = Duration::from_secs(5);
/// Longest wait that a service can ask for.
const MAX_BUSY_DELAY: Duration = Duration::from_secs(600);

/// A service, and how it is called.
pub(crate) struct Service<'a> {
    platform: &'a Platform,
    url: Url,
    timeout: Duration,
    max_response_bytes: usize,
    secrets: Vec<SigningSecret>,
}

impl<'a> Service<'a> {
    /// The service at an address, with the secrets by which the workspace signs.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn open(
        platform: &'a Platform,
        workspace: WorkspaceId,
        url: &str,
        timeout_seconds: u32,
        max_response_bytes: usize,
    ) -> Result<Self, JobError> {
        let url = Url::parse(url).map_err(JobError::retry("the address of a service is not valid"))?;
        let versions = store::signing::versions(&platform.db, workspace).await?;
        let secrets =
            versions.into_iter().map(|version| SigningSecret::derive(&platform.keys, workspace, version)).collect();
        Ok(Self { platform, url, timeout: Duration::from_secs(timeout_seconds.into()), max_response_bytes, secrets })
    }

    /// Posts JSON and returns the body of the response. `id` lets the receiver recognize repetitions.
    ///
    /// # Errors
    /// A busy service costs no attempt, an unavailable one is called again, and others fail the item.
    pub(crate) async fn post(&self, id: &str, body: Bytes) -> Result<Bytes, JobError> {
        let mut repetitions = REPETITIONS.into_iter();
        loop {
            let started = std::time::Instant::now();
            let sent = self.send(id, body.clone()).await;
            let is_temporary = match &sent {
                Ok(response) => response.status.is_server_error() && !response.headers.contains_key(RETRY_AFTER),
                Err(failure) => failure.is_temporary(),
            };
            match repetitions.next() {
                Some(wait) if is_temporary && started.elapsed() < QUICK_FAILURE => tokio::time::sleep(wait).await,
                _ => return self.body(sent),
            }
        }
    }

    async fn send(&self, id: &str, body: Bytes) -> Result<OutboundResponse, OutboundFailure> {
        let time = clock::now().timestamp();
        let mut request = self
            .platform
            .outbound
            .request(Method::POST, self.url.clone())
            .timeout(self.timeout)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", time);
        if !self.secrets.is_empty() {
            request = request.header("webhook-signature", signatures(&self.secrets, id, time, &body));
        }
        self.platform.outbound.send(request.body(body), self.max_response_bytes).await
    }

    /// The body of a successful response.
    fn body(&self, sent: Result<OutboundResponse, OutboundFailure>) -> Result<Bytes, JobError> {
        let response = match sent {
            Ok(response) => response,
            Err(failure @ OutboundFailure::Blocked(_)) => {
                return Err(self.failed(FailureCode::AddressRefused, &failure.to_string()));
            }
            Err(failure @ OutboundFailure::TooLarge(_)) => {
                return Err(self.failed(FailureCode::InvalidResponse, &failure.to_string()));
            }
            Err(failure @ OutboundFailure::Request(_)) => {
                return Err(self.failed(FailureCode::ServiceRejected, &failure.to_string()));
            }
            Err(failure) => return Err(JobError::retry("the service of the node cannot be reached")(failure)),
        };
        let status = response.status;
        let busy =
            matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY | StatusCode::REQUEST_TIMEOUT);
        if status.is_success() {
            return Ok(response.body);
        }
        if busy || status.is_server_error() && response.headers.contains_key(RETRY_AFTER) {
            let what = "the service of the node is busy";
            return Err(JobError::Snooze { what, delay: delay(&response), source: None });
        }
        if status.is_server_error() {
            let status = format!("status {}", status.as_u16());
            return Err(JobError::retry("the service of the node failed")(status));
        }
        let reason = match status.as_u16() {
            300..=399 => "a redirect, which is not followed",
            401 | 403 => "it does not accept the request; its signing secret may be an old one",
            404 | 410 => "there is no such address",
            413 => "the request is too large for it; a smaller `batchSize` may help",
            _ => "it rejects the request",
        };
        Err(self.failed(FailureCode::ServiceRejected, &format!("status {}: {reason}", status.as_u16())))
    }

    /// A failure that names the host, because a path may contain a secret.
    pub(crate) fn failed(&self, code: FailureCode, reason: &str) -> JobError {
        let detail = format!("the service at {}: {reason}", self.url.host_str().unwrap_or_default());
        JobError::Fail(Failure::new(code, detail))
    }
}

/// The wait that a response asks for, in seconds.
fn delay(response: &OutboundResponse) -> Duration {
    let seconds = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(BUSY_DELAY, Duration::from_secs).clamp(Duration::from_secs(1), MAX_BUSY_DELAY)
}

/// The id of a message: the same for the same parts.
pub(crate) fn message_id(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().fold("msg_".to_owned(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_id_depends_on_all_parts() {
        let id = message_id(&[b"ab", b"c"]);
        assert_eq!(id, message_id(&[b"ab", b"c"]));
        assert_ne!(id, message_id(&[b"a", b"bc"]));
        assert_eq!(id.len(), 36);
    }
}
