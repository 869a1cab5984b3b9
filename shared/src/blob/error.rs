//! Errors of the object store.

use std::error::Error;

use thiserror::Error;

use crate::crypt::stream::FrameError;

/// The object store failed, could not be reached, or did not respond in time. A later attempt may succeed.
#[derive(Debug, Error)]
#[error("the object store failed")]
pub struct StoreError(#[source] Box<dyn Error + Send + Sync>);

impl<K> From<async_nats::error::Error<K>> for StoreError
where
    async_nats::error::Error<K>: Error + Send + Sync + 'static,
    K: Clone + std::fmt::Debug + std::fmt::Display + PartialEq,
{
    fn from(error: async_nats::error::Error<K>) -> Self {
        Self(error.into())
    }
}

/// Why content was not stored; no part of it remains. `E` is the error of its source.
#[derive(Debug, Error)]
pub enum PutError<E> {
    /// The source of the content failed.
    #[error("the content could not be read")]
    Source(#[source] E),
    /// The content is longer than allowed.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes that the content may have.
        limit: u64,
    },
    /// The bucket or the server has no free space.
    #[error("the object store is full")]
    StorageFull,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a blob cannot be read.
#[derive(Debug, Error)]
pub enum GetError {
    /// The workspace has no such blob.
    #[error("there is no such blob")]
    NotFound,
    /// The content is longer than the caller allows.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes that the content may have.
        limit: u64,
    },
    /// A part is missing: it was deleted during the read, or is not yet on the replica that was read. A later attempt may succeed.
    #[error("the blob is incomplete")]
    Incomplete,
    /// The stored bytes differ from those written, or were written under another key.
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
