//! File bytes: encrypted streams in a NATS object store.
//!
//! The bucket has the public layout of NATS object stores, so that the tools of NATS can list, copy and mirror it; they see
//! ciphertext only. A blob is written once, under a fresh [`BlobId`], and never changed.

mod error;
mod get;
mod layout;
mod list;
mod put;
#[cfg(test)]
mod tests;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Stream};

pub use error::{GetError, PutError, StoreError};
pub use list::ListedUpload;
pub use put::BlobInfo;

use self::layout::Layout;
use crate::crypt::stream::BlobIdentity;
use crate::crypt::{DerivedKey, KeyPurpose, Keyring};
use crate::id::{BlobId, WorkspaceId};

/// Settings of the bucket.
#[derive(Clone, Debug)]
pub struct BlobSettings {
    /// Name of the bucket: letters, digits, `-` and `_`.
    pub bucket: String,
    /// Most bytes of ciphertext in the bucket; with `None` only the server's own limit applies.
    pub max_bytes: Option<i64>,
    /// Copies in a NATS cluster, 1 to 5.
    pub replicas: usize,
}

/// The blobs of all workspaces. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    context: Context,
    stream: Stream<()>,
    layout: Layout,
    keyring: Keyring,
}

impl Blobs {
    /// Opens the bucket, and creates it or updates its limits where needed.
    ///
    /// # Errors
    /// When the server cannot be reached or rejects the settings.
    pub async fn open(jetstream: Context, settings: &BlobSettings, keyring: Keyring) -> Result<Self, StoreError> {
        let layout = Layout::new(&settings.bucket);
        jetstream
            .create_or_update_stream(Config {
                name: layout.stream(),
                subjects: layout.subjects(),
                max_bytes: settings.max_bytes.unwrap_or(-1),
                num_replicas: settings.replicas,
                // A full bucket rejects new content; the default would delete old content.
                discard: DiscardPolicy::New,
                // Object stores need it: a new entry replaces the old one of the same name.
                allow_rollup: true,
                allow_direct: true,
                ..Config::default()
            })
            .await?;
        let stream = jetstream.get_stream_no_info(layout.stream()).await?;
        Ok(Self { context: jetstream, stream, layout, keyring })
    }

    /// Whether the bucket exists.
    pub(crate) async fn exists(jetstream: &Context, settings: &BlobSettings) -> bool {
        jetstream.get_stream(Layout::new(&settings.bucket).stream()).await.is_ok()
    }

    /// Removes a blob and the remains of its unfinished uploads. Succeeds if there are none.
    ///
    /// # Errors
    /// When the store fails. Another call completes the removal.
    pub async fn delete(&self, workspace: WorkspaceId, blob: BlobId) -> Result<(), StoreError> {
        // The entry is removed last: until then `list` or the entry itself shows the remains.
        self.stream.purge().filter(self.layout.chunks_of_blob(workspace, blob)).await?;
        self.stream.purge().filter(self.layout.entry(workspace, blob)).await?;
        Ok(())
    }

    fn key(&self, identity: BlobIdentity) -> DerivedKey {
        self.keyring.derive(identity.workspace, KeyPurpose::Blob)
    }
}
