//! Storing bytes.

use std::error::Error as _;
use std::{mem, pin::pin};

use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::object_store::{ObjectInfo, ObjectOptions};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures::stream::{FuturesOrdered, FuturesUnordered};
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::layout::{new_nuid, object_name};
use super::{Blobs, PutError, StoreError};
use crate::clock;
use crate::crypt::stream::{BlobIdentity, FRAME_BYTES, Sealer, UnsealedFrame};
use crate::id::{BlobId, WorkspaceId};

/// Chunks on their way at once: enough to hide the wait for the server's answer, at 256 KiB each.
const MAX_IN_FLIGHT: usize = 8;

/// Frames of one upload being sealed at once: the cipher is the slowest step, and has other cores to use.
pub(super) const MAX_SEALING: usize = 4;

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Length of the content in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

impl Blobs {
    /// Stores content of at most `limit` bytes as it arrives, sealed under the workspace's key, in about
    /// 4 MiB of memory.
    ///
    /// The id must be fresh. Nobody can see the blob until all of it is stored. Whatever was stored of it is
    /// removed when this fails or is dropped; when the process dies, [`list`](Self::list) shows it.
    ///
    /// # Errors
    /// The content fails, is too long, or the store is full or fails.
    pub async fn put<E>(
        &self,
        workspace: WorkspaceId,
        blob: BlobId,
        content: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<Stored, PutError<E>> {
        let identity = BlobIdentity { workspace, blob };
        let mut sealer = Sealer::new(self.key(identity), identity);
        let mut upload = Upload::new(self, identity);
        let mut sha256 = Sha256::new();
        let mut bytes = 0;
        let mut content = pin!(content);
        while let Some(part) = content.next().await {
            let mut part = part.map_err(PutError::Source)?;
            bytes += part.len() as u64;
            if bytes > limit {
                return Err(PutError::TooLarge { limit });
            }
            // A part may be the whole content: piece by piece, no step keeps the thread for long.
            while !part.is_empty() {
                let mut piece = part.split_to(part.len().min(FRAME_BYTES));
                sha256.update(&piece);
                while let Some(frame) = sealer.push(&mut piece) {
                    upload.add(frame).await?;
                }
            }
        }
        upload.add(sealer.finish()).await?;
        upload.commit().await?;
        Ok(Stored { bytes, sha256: sha256.finalize().into() })
    }
}

/// The chunks of one object on their way into the bucket; removed again unless committed.
struct Upload {
    blobs: Blobs,
    identity: BlobIdentity,
    nuid: String,
    chunk_subject: String,
    chunks: usize,
    size: usize,
    digest: Sha256,
    sealing: FuturesOrdered<JoinHandle<Bytes>>,
    in_flight: FuturesUnordered<<PublishAckFuture as IntoFuture>::IntoFuture>,
    /// Subjects to purge on drop.
    leftovers: Vec<String>,
}

impl Upload {
    fn new(blobs: &Blobs, identity: BlobIdentity) -> Self {
        let nuid = new_nuid(identity.workspace, identity.blob);
        let chunk_subject = blobs.layout.chunks(&nuid);
        Self {
            blobs: blobs.clone(),
            identity,
            nuid,
            leftovers: vec![chunk_subject.clone()],
            chunk_subject,
            chunks: 0,
            size: 0,
            digest: Sha256::new(),
            sealing: FuturesOrdered::new(),
            in_flight: FuturesUnordered::new(),
        }
    }

    /// Seals a frame on another thread, and sends those that are ready by now.
    async fn add(&mut self, frame: UnsealedFrame) -> Result<(), Refused> {
        self.send_sealed(MAX_SEALING - 1).await?;
        self.sealing.push_back(spawn_blocking(|| frame.seal()));
        Ok(())
    }

    /// Sends frames as chunks, in order, until at most so many are left that are being sealed.
    async fn send_sealed(&mut self, left: usize) -> Result<(), Refused> {
        while self.sealing.len() > left {
            if let Some(chunk) = self.sealing.next().await {
                self.send(chunk.expect("sealing does not panic, and a runtime that stops asks for nothing")).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, chunk: Bytes) -> Result<(), Refused> {
        self.settle(MAX_IN_FLIGHT - 1).await?;
        self.chunks += 1;
        self.size += chunk.len();
        self.digest.update(&chunk);
        let ack = self.blobs.context.publish(self.chunk_subject.clone(), chunk).await?;
        self.in_flight.push(ack.into_future());
        Ok(())
    }

    /// Makes the object visible, once the server has all chunks.
    async fn commit(mut self) -> Result<(), Refused> {
        self.send_sealed(0).await?;
        self.settle(0).await?;
        let BlobIdentity { workspace, blob } = self.identity;
        let entry = self.blobs.layout.entry(workspace, blob);
        let info = serde_json::to_vec(&self.info()).expect("an object's entry is plain JSON");
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_ROLLUP, "sub");
        // From here on even a failure may have left the entry.
        self.leftovers.push(entry.clone());
        let ack = self.blobs.context.publish_with_headers(entry, headers, info.into()).await?;
        self.in_flight.push(ack.into_future());
        self.settle(0).await?;
        self.leftovers.clear();
        Ok(())
    }

    /// Waits until at most so many messages are without an answer.
    async fn settle(&mut self, unanswered: usize) -> Result<(), Refused> {
        while self.in_flight.len() > unanswered {
            if let Some(answer) = self.in_flight.next().await {
                answer?;
            }
        }
        Ok(())
    }

    fn info(&mut self) -> ObjectInfo {
        let now = clock::now().timestamp_nanos_opt().map(i128::from);
        ObjectInfo {
            name: object_name(self.identity.workspace, self.identity.blob),
            description: None,
            metadata: Default::default(),
            headers: None,
            options: Some(ObjectOptions { link: None, max_chunk_size: Some(FRAME_BYTES) }),
            bucket: self.blobs.layout.bucket().to_owned(),
            nuid: self.nuid.clone(),
            size: self.size,
            chunks: self.chunks,
            modified: now.and_then(|now| async_nats::datetime::from_nanos(now).ok()),
            digest: Some(format!("SHA-256={}", URL_SAFE.encode(self.digest.finalize_reset()))),
            deleted: false,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let leftovers = mem::take(&mut self.leftovers);
        // Without a runtime the process is on its way out, and the sweeper has to do it.
        let (false, Ok(runtime)) = (leftovers.is_empty(), Handle::try_current()) else { return };
        let in_flight = mem::take(&mut self.in_flight);
        let stream = self.blobs.stream.clone();
        runtime.spawn(async move {
            // A purge that overtakes a chunk would leave it behind.
            in_flight.for_each(async |_answer| ()).await;
            for subject in leftovers {
                if let Err(error) = stream.purge().filter(&subject).await {
                    tracing::warn!(%error, subject, "an unfinished upload was not removed, the sweeper will");
                }
            }
        });
    }
}

/// The server did not take a message.
struct Refused(PublishError);

impl From<PublishError> for Refused {
    fn from(error: PublishError) -> Self {
        Self(error)
    }
}

impl<E> From<Refused> for PutError<E> {
    fn from(Refused(error): Refused) -> Self {
        let code = error.source().and_then(|source| source.downcast_ref()).map(jetstream::Error::error_code);
        match code {
            Some(
                // The bucket's limit (or the disk's), the account's, the server's.
                ErrorCode::STREAM_STORE_FAILED
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES,
            ) => Self::StorageFull,
            _ => Self::Store(StoreError::from(error)),
        }
    }
}
