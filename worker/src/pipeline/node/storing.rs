//! Storing new content in the object store.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, stream};
use nvisy_shared::{
    blob::PutError,
    domain::failure::{Failure, FailureCode},
    id::BlobId,
    store::file::StoredBlob,
};

use crate::{pipeline::contract::Call, runner::JobError};

/// Stores content of at most `limit` bytes. A blob that no effect refers to is garbage-collected.
///
/// # Errors
/// Of the content, as it gives them; of the store, temporary ones; [`FailureCode::TooLarge`].
pub(super) async fn store<E: Into<JobError>>(
    call: &Call<'_>,
    content: impl Stream<Item = Result<Bytes, E>>,
    limit: u64,
) -> Result<StoredBlob, JobError> {
    let id = BlobId::new();
    let stored = call.cx.blobs.put(call.workspace, id, content, limit).await.map_err(|error| match error {
        PutError::Source(error) => error.into(),
        PutError::TooLarge { limit } => {
            let detail = format!("the content is larger than {limit} bytes");
            JobError::Fail(Failure::new(FailureCode::TooLarge, detail))
        }
        // JetStream may also respond with a timeout if its disk is full. The content is valid, so the job waits.
        PutError::StorageFull => storage_full(PutError::<Infallible>::StorageFull),
        PutError::Store(error) => storage_full(PutError::<Infallible>::Store(error)),
    })?;
    Ok(StoredBlob { id, sha256: stored.sha256, bytes: stored.bytes })
}

fn storage_full(error: PutError<Infallible>) -> JobError {
    JobError::storage_full("the object store is full or unavailable")(error)
}

/// Stores a text.
///
/// # Errors
/// As [`store`].
pub(super) async fn store_text(call: &Call<'_>, text: String) -> Result<StoredBlob, JobError> {
    let limit = text.len() as u64;
    store(call, stream::iter([Ok::<_, JobError>(text.into())]), limit).await
}
