//! Writing to WebDAV servers. A call of opendal has the whole object in memory, because the protocol has no parts; this one streams it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use nvisy_shared::domain::failure::FailureCode;
use reqwest::{
    Body, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};

use super::{store::ObjectStore, store_target::StoreTarget};
use crate::{
    connectors::{
        CallFailure,
        object_target::{ObjectContent, ObjectTarget},
    },
    providers::failure::retry_after,
};

/// Longest wait for the response to an empty object.
const MIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The slowest connection over which an object is written, in bytes a second.
const MIN_BYTES_PER_SECOND: u64 = 50_000;

/// Writes a server.
pub(super) struct WebDavTarget {
    pub(super) store: Arc<ObjectStore>,
    /// The folder of the connection.
    pub(super) root: Url,
    pub(super) authorization: Option<HeaderValue>,
}

/// The address of an object, whatever characters its key has.
fn address(root: &Url, key: &str) -> Url {
    let mut url = root.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(key.split('/'));
    }
    url
}

impl ObjectTarget for WebDavTarget {
    async fn put(&self, key: &str, media_type: &str, content: &ObjectContent) -> Result<(), CallFailure> {
        if let Some((folder, _)) = key.rsplit_once('/') {
            let created = self.store.operator.create_dir(&format!("{folder}/")).await;
            created.map_err(|error| self.store.failed(&error))?;
        }
        let timeout = MIN_TIMEOUT + Duration::from_secs(content.bytes() / MIN_BYTES_PER_SECOND);
        let mut request = self.store.client.request(Method::PUT, address(&self.root, key)).timeout(timeout);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let request = request
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_LENGTH, content.bytes())
            .body(Body::wrap_stream(content.pieces()))
            .build()
            .map_err(|_| CallFailure::item(FailureCode::InvalidName, "the object has no address"))?;
        let response = self.store.client.open(request).await.map_err(|failure| self.store.redacted(failure.into()))?;
        if response.status().is_success() {
            return Ok(());
        }
        let wait = retry_after(response.headers());
        let reason = response.status().to_string();
        Err(match response.status() {
            StatusCode::TOO_MANY_REQUESTS => CallFailure::Busy { retry_after: wait, reason },
            StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => CallFailure::Busy { retry_after: wait, reason },
            StatusCode::INSUFFICIENT_STORAGE => CallFailure::Blocked(format!("{reason}: the server has no space")),
            StatusCode::PAYLOAD_TOO_LARGE => CallFailure::item(FailureCode::TooLarge, reason),
            status if status.is_server_error() || status == StatusCode::CONFLICT => CallFailure::Unavailable(reason),
            _ => CallFailure::Blocked(format!("{reason}: the server does not take the object")),
        })
    }

    async fn get(&self, key: &str) -> Result<Bytes, CallFailure> {
        StoreTarget(Arc::clone(&self.store)).get(key).await
    }

    async fn delete(&self, key: &str) -> Result<(), CallFailure> {
        StoreTarget(Arc::clone(&self.store)).delete(key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_below_the_root_whatever_the_key() {
        let of = |key: &str| address(&"https://h/dav/ada%20b/".parse().unwrap(), key).to_string();
        assert_eq!(of("a b/ü?#.txt"), "https://h/dav/ada%20b/a%20b/%C3%BC%3F%23.txt");
        assert_eq!(of("100%.txt"), "https://h/dav/ada%20b/100%25.txt");
    }
}
