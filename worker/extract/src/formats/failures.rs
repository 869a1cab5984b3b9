//! Failures that readers share.

use std::io;

use crate::{FileError, FileErrorKind};

pub(super) fn unreadable(error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::OutOfMemory => {
            FileError::new(FileErrorKind::OutOfMemory, "Reading the content takes more memory than one file may take.")
        }
        _ => FileError::new(FileErrorKind::Corrupt, "The content cannot be read to its end."),
    }
}

pub(super) fn too_many_pages() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "There are more pages than one file may have.")
}

pub(super) fn too_much_text() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "There is more text than one file may have.")
}
