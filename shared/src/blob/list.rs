//! What is in the bucket, for the sweeper.

use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};

use super::{Blobs, StoreError};
use crate::id::{BlobId, WorkspaceId};

/// One upload found in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The stored bytes.
    pub blob: BlobId,
    /// When the upload began.
    pub started: DateTime<Utc>,
}

impl Blobs {
    /// Every blob, in no order; with it uploads that still run, and those whose process died.
    ///
    /// To be asked which blobs nobody refers to. Only those that started longer ago than an upload can take
    /// may then be deleted. A blob that comes or goes while the list is read may be missed.
    ///
    /// # Errors
    /// The store failed, now or in an item; the stream is over then.
    pub async fn list(&self) -> Result<impl Stream<Item = Result<Listed, StoreError>> + Send + use<>, StoreError> {
        let layout = self.layout.clone();
        // Even an empty blob has a chunk, so the subjects of chunks are all there is.
        let subjects = self.stream.info_with_subjects(layout.every_chunk()).await?;
        Ok(subjects
            .map_err(StoreError::from)
            .try_filter_map(move |(subject, _chunks)| std::future::ready(Ok(layout.parse_chunks(&subject)))))
    }
}
