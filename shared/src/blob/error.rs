//! What can go wrong with stored bytes.

use std::error::Error;

use thiserror::Error;

use crate::crypt::stream::FrameError;

/// The object store failed, was not reached, or did not answer in time. Trying later may help.
#[derive(Debug, Error)]
#[error("the object store failed")]
pub struct StoreError(#[source] Box<dyn Error + Send + Sync>);

impl<Kind> From<async_nats::error::Error<Kind>> for StoreError
where
    async_nats::error::Error<Kind>: Error + Send + Sync + 'static,
    Kind: Clone + std::fmt::Debug + std::fmt::Display + PartialEq,
{
    fn from(error: async_nats::error::Error<Kind>) -> Self {
        Self(error.into())
    }
}

/// Why bytes were not stored; nothing is left of them. `E` is the failure of their source.
#[derive(Debug, Error)]
pub enum PutError<E> {
    /// The content broke off.
    #[error("the content could not be read")]
    Source(#[source] E),
    /// The content is longer than allowed.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes it may have.
        limit: u64,
    },
    /// There is no room in the bucket or on the server.
    #[error("the object store is full")]
    StorageFull,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why bytes cannot be had.
#[derive(Debug, Error)]
pub enum GetError {
    /// There is no such blob in this workspace.
    #[error("there is no such blob")]
    NotFound,
    /// The content is longer than the caller can take.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes it may have.
        limit: u64,
    },
    /// A part is missing: deleted while it was read, or not yet on the replica that was asked. Trying later may help.
    #[error("the blob is incomplete")]
    Incomplete,
    /// What is stored is not what was written, or was written under another key.
    #[error("the blob cannot be opened")]
    Corrupt(#[from] FrameError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GetError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Incomplete | Self::Store(_))
    }
}
