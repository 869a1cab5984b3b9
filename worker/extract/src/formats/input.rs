//! The bytes of a container: a file, or what could be read of one.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::failures::unreadable;
use crate::FileError;

/// The bytes of a container.
pub(super) enum Input {
    File(File),
    Memory(Cursor<Arc<[u8]>>),
}

impl Input {
    /// The same bytes, from their beginning. Only one of the two may be read at a time.
    pub(super) fn reopened(&self) -> Result<Self, FileError> {
        Ok(match self {
            Self::File(file) => {
                let mut file = file.try_clone().map_err(unreadable)?;
                file.rewind().map_err(unreadable)?;
                Self::File(file)
            }
            Self::Memory(bytes) => Self::Memory(Cursor::new(Arc::clone(bytes.get_ref()))),
        })
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        self.reopened()?.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(bytes) => bytes.seek(to),
        }
    }
}
