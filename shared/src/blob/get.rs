//! Reading blobs.

use async_nats::jetstream::object_store::ObjectInfo;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind, Stream as NatsStream};
use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use tokio::task::spawn_blocking;

use super::{Blobs, GetError, StoreError};
use crate::crypt::stream::{BlobIdentity, FrameError, Opener};
use crate::id::{BlobId, WorkspaceId};

/// Frames of one blob that are decrypted in parallel, while the next is fetched.
const MAX_PARALLEL_OPENS: usize = 3;

impl Blobs {
    /// The content of a blob, verified part by part and fetched at the pace of the reader, in about 1 MiB of memory.
    ///
    /// The content is complete only if the stream ends without an error.
    ///
    /// # Errors
    /// When there is no such blob, it is damaged, or the store fails; now or in an item, which ends the stream.
    pub async fn get(
        &self,
        workspace: WorkspaceId,
        blob: BlobId,
    ) -> Result<impl Stream<Item = Result<Bytes, GetError>> + Send + use<>, GetError> {
        let identity = BlobIdentity { workspace, blob };
        let info = self.entry(identity).await?;
        let mut chunks =
            Chunks { stream: self.stream.clone(), subject: self.layout.chunks(&info.nuid), next: 0, left: info.chunks };
        let mut first = chunks.fetch().await?;
        let opener = Opener::new(self.key(identity), identity, &mut first)?;
        let frames = stream::try_unfold((Some(first), opener, chunks), |(first, mut opener, mut chunks)| async {
            let chunk = match first {
                Some(chunk) => chunk,
                None if chunks.left == 0 => return Ok(None),
                None => chunks.fetch().await?,
            };
            let frame = opener.push(chunk, chunks.left == 0);
            Ok(Some((frame, (None, opener, chunks))))
        });
        Ok(frames
            .map_ok(async |frame| {
                let content = spawn_blocking(|| frame.open()).await;
                Ok(content.expect("opening does not panic, and a stopping runtime polls nothing")?)
            })
            .try_buffered(MAX_PARALLEL_OPENS))
    }

    /// The whole content of a blob, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the content is longer.
    pub async fn read_all(&self, workspace: WorkspaceId, blob: BlobId, limit: u64) -> Result<Vec<u8>, GetError> {
        let content = self.get(workspace, blob).await?;
        content
            .try_fold(Vec::new(), async |mut all, part| {
                if (all.len() + part.len()) as u64 > limit {
                    return Err(GetError::TooLarge { limit });
                }
                all.extend_from_slice(&part);
                Ok(all)
            })
            .await
    }

    /// A blob's entry.
    pub(super) async fn entry(&self, BlobIdentity { workspace, blob }: BlobIdentity) -> Result<ObjectInfo, GetError> {
        let subject = self.layout.entry(workspace, blob);
        let entry = match self.stream.direct_get_last_for_subject(&subject).await {
            // Any replica serves a direct read and may lag behind, so a missing entry is confirmed by the leader.
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                self.stream.get_last_raw_message_by_subject(&subject).await.map_err(|error| match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => GetError::NotFound,
                    _ => StoreError::from(error).into(),
                })?
            }
            response => response.map_err(StoreError::from)?,
        };
        let info: ObjectInfo = serde_json::from_slice(&entry.payload).map_err(|_| FrameError::Unknown)?;
        // Other clients delete an object by writing an empty entry.
        if info.deleted { Err(GetError::NotFound) } else { Ok(info) }
    }
}

/// The chunks of one object, fetched one after the other.
///
/// Each chunk is one request, so that there is no consumer to create, to lose with a server, or to overrun the reader.
struct Chunks {
    stream: NatsStream<()>,
    subject: String,
    /// The next chunk is the first at or after this sequence number of the stream.
    next: u64,
    left: usize,
}

impl Chunks {
    async fn fetch(&mut self) -> Result<Bytes, GetError> {
        self.left = self.left.checked_sub(1).ok_or(FrameError::Tampered)?;
        let message = self.stream.direct_get_next_for_subject(&self.subject, Some(self.next)).await.map_err(
            |error| match error.kind() {
                DirectGetErrorKind::NotFound => GetError::Incomplete,
                _ => StoreError::from(error).into(),
            },
        )?;
        self.next = message.sequence + 1;
        Ok(message.payload)
    }
}
