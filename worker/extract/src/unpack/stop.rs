//! Why a member, or a walk, ends early.

use std::io;

use crate::{FileError, FileErrorKind};

/// Why a member, or a walk, ends early.
pub(super) enum Stop {
    /// A fault of one member, or of the rest of an archive: the other members are kept.
    Fault(FileError),
    /// A limit of the whole file is exceeded: nothing is kept.
    Limit(FileError),
    /// The parent is gone.
    Send(io::Error),
}

fn fault(kind: FileErrorKind, detail: &str) -> Stop {
    Stop::Fault(FileError::new(kind, detail))
}

fn limit(detail: &str) -> Stop {
    Stop::Limit(FileError::new(FileErrorKind::TooLarge, detail))
}

impl Stop {
    pub(super) fn too_large() -> Self {
        limit("The archive expands to more bytes than one file may have.")
    }

    pub(super) fn too_many() -> Self {
        limit("The archive has more members than one file may have.")
    }

    pub(super) fn member_too_large() -> Self {
        fault(FileErrorKind::TooLarge, "The content expands to more bytes than its packed size allows.")
    }

    pub(super) fn encrypted() -> Self {
        fault(FileErrorKind::Encrypted, "The content is protected by a password.")
    }

    pub(super) fn unsupported() -> Self {
        fault(FileErrorKind::UnsupportedMedia, "No reader knows how the content is compressed.")
    }

    pub(super) fn without_content() -> Self {
        fault(FileErrorKind::UnsupportedMedia, "The attachment is a link or an object without content of its own.")
    }

    pub(super) fn out_of_memory() -> Self {
        fault(FileErrorKind::OutOfMemory, "Reading the content takes more memory than one file may take.")
    }

    pub(super) fn corrupt() -> Self {
        fault(FileErrorKind::Corrupt, "The content is cut short or damaged.")
    }

    pub(super) fn no_mail() -> Self {
        fault(FileErrorKind::Corrupt, "The mail has no readable header.")
    }

    /// The fault, if it is that of a member.
    pub(super) fn member_fault(self) -> Result<FileError, Self> {
        match self {
            Self::Fault(error) => Ok(error),
            other => Err(other),
        }
    }
}
