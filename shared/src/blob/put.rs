//! Storing blobs.

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

/// Unacknowledged chunks of one upload, of 256 KiB each: enough to hide the wait for acknowledgements.
const MAX_UNACKED_CHUNKS: usize = 8;

/// Frames of one upload that are sealed in parallel: the cipher is the slowest step, and can use several cores.
pub(super) const MAX_PARALLEL_SEALS: usize = 4;

/// Largest frame that is sealed without another thread, whose start takes longer.
const MAX_DIRECT_SEAL_BYTES: usize = 8 * 1024;

/// Length and hash of stored content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Length of the content in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

impl Blobs {
    /// Stores content of at most `limit` bytes as it arrives, sealed under the workspace's key, in about
    /// 4 MiB of memory.
    ///
    /// The id must be fresh. The blob is visible only when all of it is stored. If this fails or is dropped, the stored parts are
    /// removed; if the process dies, [`list`](Self::list) shows them.
    ///
    /// # Errors
    /// When the content fails or is too long, or the store is full or fails.
    pub async fn put<E>(
        &self,
        workspace: WorkspaceId,
        blob: BlobId,
        content: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<BlobInfo, PutError<E>> {
        let identity = BlobIdentity { workspace, blob };
        let mut sealer = Sealer::new(self.key(identity), identity);
        let mut upload = BlobUpload::new(self, identity);
        let mut sha256 = Sha256::new();
        let mut bytes = 0;
        let mut content = pin!(content);
        while let Some(part) = content.next().await {
            let mut part = part.map_err(PutError::Source)?;
            bytes += part.len() as u64;
            if bytes > limit {
                return Err(PutError::TooLarge { limit });
            }
            // A part may be the whole content: small pieces keep each step short for the thread.
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
        Ok(BlobInfo { bytes, sha256: sha256.finalize().into() })
    }
}

/// The chunks of one object during its upload. They are removed unless the upload is committed.
struct BlobUpload {
    blobs: Blobs,
    identity: BlobIdentity,
    nuid: String,
    chunk_subject: String,
    chunks: usize,
    size: usize,
    digest: Sha256,
    sealing: FuturesOrdered<JoinHandle<Bytes>>,
    unacked: FuturesUnordered<<PublishAckFuture as IntoFuture>::IntoFuture>,
    /// Subjects to purge on drop.
    leftovers: Vec<String>,
}

impl BlobUpload {
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
            unacked: FuturesUnordered::new(),
        }
    }

    /// Starts to seal a frame on another thread, and sends sealed frames. A small frame that is the only one is sealed at once.
    async fn add(&mut self, frame: UnsealedFrame) -> Result<(), PublishRejected> {
        if self.chunks == 0 && self.sealing.is_empty() && frame.bytes() <= MAX_DIRECT_SEAL_BYTES {
            return self.send(frame.seal()).await;
        }
        self.send_sealed(MAX_PARALLEL_SEALS - 1).await?;
        self.sealing.push_back(spawn_blocking(|| frame.seal()));
        Ok(())
    }

    /// Sends sealed frames as chunks, in order, until at most `max_pending` frames are left.
    async fn send_sealed(&mut self, max_pending: usize) -> Result<(), PublishRejected> {
        while self.sealing.len() > max_pending {
            if let Some(chunk) = self.sealing.next().await {
                self.send(chunk.expect("sealing does not panic, and a stopping runtime polls nothing")).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, chunk: Bytes) -> Result<(), PublishRejected> {
        self.await_acks(MAX_UNACKED_CHUNKS - 1).await?;
        self.chunks += 1;
        self.size += chunk.len();
        self.digest.update(&chunk);
        let ack = self.blobs.context.publish(self.chunk_subject.clone(), chunk).await?;
        self.unacked.push(ack.into_future());
        Ok(())
    }

    /// Makes the object visible after the server has acknowledged all chunks.
    async fn commit(mut self) -> Result<(), PublishRejected> {
        self.send_sealed(0).await?;
        self.await_acks(0).await?;
        let BlobIdentity { workspace, blob } = self.identity;
        let entry = self.blobs.layout.entry(workspace, blob);
        let info = serde_json::to_vec(&self.info()).expect("an object's entry is plain JSON");
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_ROLLUP, "sub");
        // From here on a failure may leave the entry.
        self.leftovers.push(entry.clone());
        let ack = self.blobs.context.publish_with_headers(entry, headers, info.into()).await?;
        self.unacked.push(ack.into_future());
        self.await_acks(0).await?;
        self.leftovers.clear();
        Ok(())
    }

    /// Waits until at most `max_unacked` messages are unacknowledged.
    async fn await_acks(&mut self, max_unacked: usize) -> Result<(), PublishRejected> {
        while self.unacked.len() > max_unacked {
            if let Some(ack) = self.unacked.next().await {
                ack?;
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

impl Drop for BlobUpload {
    fn drop(&mut self) {
        let leftovers = mem::take(&mut self.leftovers);
        // Without a runtime the process is stopping, and garbage collection removes them.
        let (false, Ok(runtime)) = (leftovers.is_empty(), Handle::try_current()) else { return };
        let unacked = mem::take(&mut self.unacked);
        let stream = self.blobs.stream.clone();
        runtime.spawn(async move {
            // A purge before the last acknowledgement could miss a chunk.
            unacked.for_each(async |_ack| ()).await;
            for subject in leftovers {
                if let Err(error) = stream.purge().filter(&subject).await {
                    tracing::warn!(%error, subject, "an unfinished upload could not be removed, garbage collection will remove it");
                }
            }
        });
    }
}

/// The server did not store a message.
struct PublishRejected(PublishError);

impl From<PublishError> for PublishRejected {
    fn from(error: PublishError) -> Self {
        Self(error)
    }
}

impl<E> From<PublishRejected> for PutError<E> {
    fn from(PublishRejected(error): PublishRejected) -> Self {
        let code = error.source().and_then(|source| source.downcast_ref()).map(jetstream::Error::error_code);
        match code {
            Some(
                // The limit of the bucket or the disk, of the account, or of the server.
                ErrorCode::STREAM_STORE_FAILED
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES,
            ) => Self::StorageFull,
            _ => Self::Store(StoreError::from(error)),
        }
    }
}
