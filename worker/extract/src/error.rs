//! Why a file gave no document.

use std::io;

use serde::{Deserialize, Serialize};

/// Why a file gave no document.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The file is at fault. Permanent: the same bytes fail again.
    #[error(transparent)]
    File(#[from] FileError),
    /// The child process could not be started, its socket failed, or the models are there and cannot be loaded. Worth a retry.
    #[error("the extraction process did not start")]
    Process(#[source] io::Error),
}

/// The fault of a file: the kind for programs, the detail for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind:?}: {detail}")]
pub struct FileError {
    /// The kind of fault.
    pub kind: FileErrorKind,
    /// One sentence; never a piece of the document.
    pub detail: String,
}

impl FileError {
    /// A fault with its sentence.
    pub fn new(kind: FileErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn crashed() -> Self {
        Self::new(FileErrorKind::Corrupt, "The content crashed its reader.")
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(FileErrorKind::TimedOut, "Reading the content takes longer than one file may take.")
    }
}

/// Kinds of faults of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileErrorKind {
    /// No reader knows this kind of content.
    UnsupportedMedia,
    /// The content is protected by a password.
    Encrypted,
    /// The content violates its format.
    Corrupt,
    /// The file contains no text.
    Empty,
    /// It has more pages, text or expanded bytes than the limits allow.
    TooLarge,
    /// Reading it took longer than the limits allow.
    TimedOut,
    /// Reading it took more memory than the limits allow.
    OutOfMemory,
}
