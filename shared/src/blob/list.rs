//! The content of the bucket, for garbage collection.

use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};

use super::{Blobs, StoreError};
use crate::id::{BlobId, WorkspaceId};

/// One upload found in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The stored bytes.
    pub blob: BlobId,
    /// When the upload began.
    pub started: DateTime<Utc>,
}

impl Blobs {
    /// All uploads in no order: stored blobs, uploads in progress, and uploads whose process died.
    ///
    /// The caller may delete an unreferenced upload only if it started longer ago than an upload can take. The list may miss a
    /// blob that is stored or deleted while it is read.
    ///
    /// # Errors
    /// When the store fails, now or in an item, which ends the stream.
    pub async fn list(
        &self,
    ) -> Result<impl Stream<Item = Result<ListedUpload, StoreError>> + Send + use<>, StoreError> {
        let layout = self.layout.clone();
        // Even an empty blob has a chunk, so the subjects of chunks are complete.
        let subjects = self.stream.info_with_subjects(layout.chunks_of_all()).await?;
        Ok(subjects
            .map_err(StoreError::from)
            .try_filter_map(move |(subject, _chunks)| std::future::ready(Ok(layout.parse_chunks(&subject)))))
    }
}
