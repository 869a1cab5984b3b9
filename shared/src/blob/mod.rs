//! File bytes: encrypted streams in a NATS object store.
//!
//! The bucket has the public layout of NATS object stores, so that its tools list, copy and mirror it; what
//! they see is ciphertext. A blob is written once, under a fresh [`BlobId`], and never changed.

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
pub use list::Listed;
pub use put::Stored;

use self::layout::Layout;
use crate::crypt::stream::BlobIdentity;
use crate::crypt::{DerivedKey, KeyPurpose, Keyring};
use crate::id::{BlobId, WorkspaceId};

/// Where the bytes go.
#[derive(Clone, Debug)]
pub struct BlobSettings {
    /// Name of the bucket: letters, digits, `-` and `_`.
    pub bucket: String,
    /// What the bucket may hold, in bytes of ciphertext; `None` leaves it to the server's own limit.
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
    /// Opens the bucket; creates it, or brings its limits in line with the settings, where needed.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses the settings.
    pub async fn open(jetstream: Context, settings: &BlobSettings, keyring: Keyring) -> Result<Self, StoreError> {
        let layout = Layout::new(&settings.bucket);
        jetstream
            .create_or_update_stream(Config {
                name: layout.stream(),
                subjects: layout.subjects(),
                max_bytes: settings.max_bytes.unwrap_or(-1),
                num_replicas: settings.replicas,
                // A full bucket refuses what is new; the default would delete what is old.
                discard: DiscardPolicy::New,
                // Demanded of an object store: a new entry replaces the old one of the same name.
                allow_rollup: true,
                allow_direct: true,
                ..Config::default()
            })
            .await?;
        let stream = jetstream.get_stream_no_info(layout.stream()).await?;
        Ok(Self { context: jetstream, stream, layout, keyring })
    }

    /// Whether the bucket is there.
    pub(crate) async fn exist(jetstream: &Context, settings: &BlobSettings) -> bool {
        jetstream.get_stream(Layout::new(&settings.bucket).stream()).await.is_ok()
    }

    /// Removes a blob, and whatever an upload that never ended has left of it; fine when there is none.
    ///
    /// # Errors
    /// The store failed. Calling again completes what was begun.
    pub async fn delete(&self, workspace: WorkspaceId, blob: BlobId) -> Result<(), StoreError> {
        // The entry goes last: as long as anything is left, `list` or the entry itself shows it.
        self.stream.purge().filter(self.layout.all_chunks(workspace, blob)).await?;
        self.stream.purge().filter(self.layout.entry(workspace, blob)).await?;
        Ok(())
    }

    fn key(&self, identity: BlobIdentity) -> DerivedKey {
        self.keyring.derive(identity.workspace, KeyPurpose::Blob)
    }
}
