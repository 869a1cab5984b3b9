//! Tests with a NATS server.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::crypt::MasterKey;
use crate::crypt::stream::{FRAME_BYTES, FrameError};
use crate::{id, test_nats};

const NO_LIMIT: u64 = u64::MAX;

/// A bucket of this test, and one workspace.
struct Fixture {
    blobs: Blobs,
    bucket: String,
    workspace: WorkspaceId,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_max_bytes(None).await
    }

    async fn with_max_bytes(max_bytes: Option<i64>) -> Self {
        let url = std::env::var("NVISY_TEST_NATS_URL")
            .expect("NVISY_TEST_NATS_URL names the NATS server to test on; `just test` starts one");
        let client = test_nats::client(&url).await;
        let bucket = format!("test-{}", id::new());
        let settings = BlobSettings { bucket: bucket.clone(), max_bytes, replicas: 1 };
        let keyring = Keyring::new(MasterKey::generate());
        let blobs = Blobs::open(jetstream::new(client), &settings, keyring).await.unwrap();
        Self { blobs, bucket, workspace: WorkspaceId::new() }
    }

    async fn put(&self, content: &[u8]) -> BlobId {
        let blob = BlobId::new();
        self.blobs.put(self.workspace, blob, parts(content), NO_LIMIT).await.unwrap();
        blob
    }

    async fn read(&self, blob: BlobId) -> Result<Vec<u8>, GetError> {
        self.blobs.read_all(self.workspace, blob, NO_LIMIT).await
    }

    async fn messages(&self) -> u64 {
        self.blobs.stream.get_info().await.unwrap().state.messages
    }

    /// Waits until the bucket has the expected number of messages.
    async fn wait_for_messages(&self, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let messages = self.messages().await;
            if messages == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{messages} messages in the bucket instead of {expected}");
            tokio::task::yield_now().await;
        }
    }

    async fn listed(&self) -> Vec<(WorkspaceId, BlobId)> {
        let mut all: Vec<_> =
            self.blobs.list().await.unwrap().map_ok(|one| (one.workspace, one.blob)).try_collect().await.unwrap();
        all.sort();
        all
    }

    /// Replaces the chunks of a blob by the result of `change`.
    async fn tamper(&self, blob: BlobId, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let info = self.blobs.entry(BlobIdentity { workspace: self.workspace, blob }).await.unwrap();
        let subject = self.blobs.layout.chunks(&info.nuid);
        let mut chunks = Vec::new();
        let mut next = 0;
        while let Ok(message) = self.blobs.stream.direct_get_next_for_subject(&subject, Some(next)).await {
            next = message.sequence + 1;
            chunks.push(message.payload.to_vec());
        }
        change(&mut chunks);
        self.blobs.stream.purge().filter(&subject).await.unwrap();
        for chunk in chunks {
            self.blobs.context.publish(subject.clone(), chunk.into()).await.unwrap().await.unwrap();
        }
    }

    async fn stop(self) {
        self.blobs.context.delete_object_store(&self.bucket).await.unwrap();
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn parts(content: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let parts: Vec<_> = content.chunks(70_001).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    stream::iter(parts)
}

#[tokio::test]
async fn stored_content_is_read_back() {
    let fixture = Fixture::new().await;
    for length in [0, 1, FRAME_BYTES, 20 * FRAME_BYTES + 7] {
        let content = content(length);
        let blob = BlobId::new();
        let stored = fixture.blobs.put(fixture.workspace, blob, parts(&content), NO_LIMIT).await.unwrap();
        assert_eq!(stored, BlobInfo { bytes: length as u64, sha256: Sha256::digest(&content).into() });
        assert!(fixture.read(blob).await.unwrap() == content, "{length}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn existing_bucket_is_reused_with_new_limits() {
    let fixture = Fixture::new().await;
    let blob = fixture.put(b"kept").await;
    let settings = BlobSettings { bucket: fixture.bucket.clone(), max_bytes: Some(1 << 20), replicas: 1 };
    let again = Blobs::open(fixture.blobs.context.clone(), &settings, fixture.blobs.keyring.clone()).await.unwrap();
    assert_eq!(again.read_all(fixture.workspace, blob, 4).await.unwrap(), b"kept");
    assert_eq!(again.stream.get_info().await.unwrap().config.max_bytes, 1 << 20);
    fixture.stop().await;
}

#[tokio::test]
async fn nats_tools_read_an_object_of_ciphertext() {
    let fixture = Fixture::new().await;
    let blob = fixture.put(&content(3 * FRAME_BYTES)).await;
    let store = fixture.blobs.context.get_object_store(&fixture.bucket).await.unwrap();
    // The reader checks the digest at the end.
    let mut object = store.get(format!("{}/{blob}", fixture.workspace)).await.unwrap();
    let mut ciphertext = Vec::new();
    object.read_to_end(&mut ciphertext).await.unwrap();
    assert_eq!(ciphertext.len(), object.info.size);
    assert!(ciphertext.starts_with(b"NVF"));
    assert_eq!(store.list().await.unwrap().count().await, 1);
    // A deletion by a NATS tool is recognised.
    store.delete(&object.info.name).await.unwrap();
    assert!(matches!(fixture.read(blob).await, Err(GetError::NotFound)));
    fixture.stop().await;
}

#[tokio::test]
async fn upload_above_the_exact_limit_leaves_no_chunks() {
    let fixture = Fixture::new().await;
    let length = 12 * FRAME_BYTES;
    let content = content(length);
    let put = |limit| fixture.blobs.put(fixture.workspace, BlobId::new(), parts(&content), limit);
    put(length as u64).await.unwrap();
    let before = fixture.messages().await;
    assert_eq!(before, 13);
    let limit = length as u64 - 1;
    assert!(matches!(put(limit).await, Err(PutError::TooLarge { limit: reported }) if reported == limit));
    fixture.wait_for_messages(before).await;
    fixture.stop().await;
}

#[tokio::test]
async fn failed_source_leaves_no_chunks() {
    let fixture = Fixture::new().await;
    let broken = parts(&content(12 * FRAME_BYTES))
        .map_err(|never| match never {})
        .chain(stream::once(async { Err(io::Error::from(io::ErrorKind::ConnectionReset)) }));
    let error = fixture.blobs.put(fixture.workspace, BlobId::new(), broken, NO_LIMIT).await.unwrap_err();
    assert!(matches!(error, PutError::Source(error) if error.kind() == io::ErrorKind::ConnectionReset));
    fixture.wait_for_messages(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn dropped_upload_leaves_no_chunks() {
    let fixture = Fixture::new().await;
    let (workspace, blob) = (fixture.workspace, BlobId::new());
    let stalled = parts(&content(12 * FRAME_BYTES)).chain(stream::pending());
    {
        let mut upload = std::pin::pin!(fixture.blobs.put(workspace, blob, stalled, NO_LIMIT));
        // Of 12 frames the last waits for more content or the end, and those being sealed wait for another frame.
        tokio::select! {
            _ = &mut upload => panic!("the content never ends"),
            () = fixture.wait_for_messages(11 - put::MAX_PARALLEL_SEALS as u64) => {}
        }
        assert!(matches!(fixture.read(blob).await, Err(GetError::NotFound)));
        assert_eq!(fixture.listed().await, [(workspace, blob)]);
    }
    fixture.wait_for_messages(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn full_bucket_rejects_new_content_and_keeps_old() {
    let fixture = Fixture::with_max_bytes(Some(2 << 20)).await;
    let blob = fixture.put(b"kept").await;
    let content = content(12 * FRAME_BYTES);
    let put = fixture.blobs.put(fixture.workspace, BlobId::new(), parts(&content), NO_LIMIT).await;
    assert!(matches!(put, Err(PutError::StorageFull)), "{put:?}");
    fixture.wait_for_messages(2).await;
    assert_eq!(fixture.read(blob).await.unwrap(), b"kept");
    fixture.stop().await;
}

#[tokio::test]
async fn changed_chunks_are_detected() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change); 5] = [
        ("bit", |chunks| chunks[1][1000] ^= 1),
        ("order", |chunks| chunks.swap(1, 2)),
        ("cut chunk", |chunks| chunks[3].truncate(1000)),
        ("first", |chunks| drop(chunks.remove(0))),
        ("replaced", |chunks| chunks[2] = chunks[1].clone()),
    ];
    let fixture = Fixture::new().await;
    for (name, change) in changes {
        let blob = fixture.put(&content(4 * FRAME_BYTES)).await;
        fixture.tamper(blob, change).await;
        assert!(matches!(fixture.read(blob).await, Err(GetError::Corrupt(_))), "{name}");
    }
    let blob = fixture.put(&content(4 * FRAME_BYTES)).await;
    fixture.tamper(blob, |chunks| drop(chunks.pop())).await;
    assert!(matches!(fixture.read(blob).await, Err(GetError::Incomplete)));
    fixture.stop().await;
}

#[tokio::test]
async fn entry_with_fewer_chunks_is_detected() {
    let fixture = Fixture::new().await;
    let identity = BlobIdentity { workspace: fixture.workspace, blob: fixture.put(&content(4 * FRAME_BYTES)).await };
    for chunks in [3, 0] {
        let mut info = fixture.blobs.entry(identity).await.unwrap();
        info.chunks = chunks;
        let entry = fixture.blobs.layout.entry(identity.workspace, identity.blob);
        let info = serde_json::to_vec(&info).unwrap().into();
        fixture.blobs.context.publish(entry, info).await.unwrap().await.unwrap();
        let read = fixture.read(identity.blob).await;
        assert!(matches!(read, Err(GetError::Corrupt(FrameError::Tampered))), "{chunks}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn other_workspace_can_neither_read_nor_delete() {
    let fixture = Fixture::new().await;
    let blob = fixture.put(b"ours").await;
    let read = fixture.blobs.read_all(WorkspaceId::new(), blob, NO_LIMIT).await;
    assert!(matches!(read, Err(GetError::NotFound)));
    fixture.blobs.delete(WorkspaceId::new(), blob).await.unwrap();
    assert_eq!(fixture.read(blob).await.unwrap(), b"ours");
    fixture.stop().await;
}

#[tokio::test]
async fn read_stops_at_the_limit_of_the_caller() {
    let fixture = Fixture::new().await;
    let blob = fixture.put(&content(100)).await;
    let read = |limit| fixture.blobs.read_all(fixture.workspace, blob, limit);
    assert_eq!(read(100).await.unwrap().len(), 100);
    assert!(matches!(read(99).await, Err(GetError::TooLarge { limit: 99 })));
    fixture.stop().await;
}

#[tokio::test]
async fn repeated_delete_removes_one_blob_only() {
    let fixture = Fixture::new().await;
    let (kept, gone) = (fixture.put(&content(3 * FRAME_BYTES)).await, fixture.put(&content(3 * FRAME_BYTES)).await);
    assert_eq!(fixture.listed().await, [(fixture.workspace, kept), (fixture.workspace, gone)]);
    for _ in 0..2 {
        fixture.blobs.delete(fixture.workspace, gone).await.unwrap();
        assert_eq!(fixture.messages().await, 4);
        assert!(matches!(fixture.read(gone).await, Err(GetError::NotFound)));
    }
    assert!(fixture.read(kept).await.is_ok());
    assert_eq!(fixture.listed().await, [(fixture.workspace, kept)]);
    fixture.stop().await;
}

#[tokio::test]
async fn deletion_during_a_read_fails_the_reader() {
    let fixture = Fixture::new().await;
    let blob = fixture.put(&content(5 * FRAME_BYTES)).await;
    let mut reader = std::pin::pin!(fixture.blobs.get(fixture.workspace, blob).await.unwrap());
    reader.next().await.unwrap().unwrap();
    fixture.blobs.delete(fixture.workspace, blob).await.unwrap();
    let rest: Result<Vec<_>, _> = reader.try_collect().await;
    assert!(matches!(rest, Err(GetError::Incomplete)));
    fixture.stop().await;
}
