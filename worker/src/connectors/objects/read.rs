//! Content while it is read: a server that stops sending, and an object that has another length than its listing says.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use nvisy_shared::domain::failure::FailureCode;

use crate::connectors::{CallFailure, source::Content};

/// Longest wait for the next bytes.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The content with its checks. `last` runs at the end, such as a comparison with the state of the object by then.
pub(in crate::connectors) fn checked(
    content: impl Stream<Item = Result<Bytes, CallFailure>> + Send + 'static,
    expected: Option<u64>,
    last: impl Future<Output = Result<(), CallFailure>> + Send + 'static,
) -> Content {
    let state = (Box::pin(content), 0_u64, Some(Box::pin(last)));
    Box::pin(stream::try_unfold(state, move |(mut content, mut read, mut last)| async move {
        let next = tokio::time::timeout(STALL_TIMEOUT, content.next()).await;
        match next.map_err(|_| CallFailure::Unavailable("no further bytes came in time".to_owned()))? {
            Some(bytes) => {
                let bytes = bytes?;
                read += bytes.len() as u64;
                if expected.is_some_and(|expected| read > expected) {
                    return Err(changed());
                }
                Ok(Some((bytes, (content, read, last))))
            }
            None => {
                if expected.is_some_and(|expected| read != expected) {
                    return Err(changed());
                }
                if let Some(last) = last.take() {
                    last.await?;
                }
                Ok(None)
            }
        }
    }))
}

/// The failure of an object that is not the listed one any more.
pub(in crate::connectors) fn changed() -> CallFailure {
    CallFailure::item(FailureCode::SourceChanged, "the object changed after it was listed; the next sync reads it")
}
