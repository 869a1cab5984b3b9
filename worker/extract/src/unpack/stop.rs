//! Why a walk ends early.

use std::io;

use crate::{FileError, FileErrorKind};

/// Why a walk ends early.
pub(super) enum Stop {
    /// A fault of the file.
    File(FileError),
    /// The parent is gone.
    Send(io::Error),
}

fn file(kind: FileErrorKind, detail: &str) -> Stop {
    Stop::File(FileError::new(kind, detail))
}

impl Stop {
    pub(super) fn too_large() -> Self {
        file(FileErrorKind::TooLarge, "The archive expands to more bytes than one file may have.")
    }

    pub(super) fn too_many() -> Self {
        file(FileErrorKind::TooLarge, "The archive has more members than one file may have.")
    }

    pub(super) fn encrypted() -> Self {
        file(FileErrorKind::Encrypted, "The archive is protected by a password.")
    }

    pub(super) fn unsupported() -> Self {
        file(FileErrorKind::UnsupportedMedia, "No reader knows how the archive is compressed.")
    }

    pub(super) fn out_of_memory() -> Self {
        file(FileErrorKind::OutOfMemory, "Reading the content takes more memory than one file may take.")
    }

    pub(super) fn corrupt() -> Self {
        file(FileErrorKind::Corrupt, "The archive is cut short or damaged.")
    }

    pub(super) fn no_mail() -> Self {
        file(FileErrorKind::Corrupt, "The mail has no readable header.")
    }
}
