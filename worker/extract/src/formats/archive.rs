//! Reads parts of a zip container within a limit of expanded bytes.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::encoding;
use crate::{ExtractLimits, FileError, FileErrorKind};

/// Markup compresses to a fifth or, if very repetitive, a fiftieth. A higher ratio indicates a zip bomb.
const MAX_COMPRESSION_RATIO: u64 = 200;
/// Parts below this size are not checked for their ratio.
const RATIO_CHECK_MIN_BYTES: u64 = 16 << 20;

/// Most bytes that a part may expand to, by its packed size.
pub(crate) fn compression_limit(packed: u64) -> u64 {
    packed.saturating_mul(MAX_COMPRESSION_RATIO).max(RATIO_CHECK_MIN_BYTES)
}

pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Expanded bytes that the remaining parts may have.
    remaining_bytes: u64,
}

impl Archive {
    pub(super) fn open(file: File, limits: &ExtractLimits) -> Result<Self, FileError> {
        let zip = ZipArchive::new(BufReader::new(file)).map_err(file_error)?;
        Ok(Self { zip, remaining_bytes: limits.max_expanded_bytes })
    }

    /// The text of a part, or `None` if there is no part of this name.
    ///
    /// Sizes are counted while expanding, because the container's own figures are untrusted.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FileError> {
        let part = match self.zip.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(file_error(error)),
        };
        let limit = self.remaining_bytes.min(compression_limit(part.compressed_size()));
        let mut bytes = Vec::new();
        part.take(limit + 1).read_to_end(&mut bytes).map_err(super::unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(FileError::new(
                FileErrorKind::TooLarge,
                "The file expands to more bytes than one file may have.",
            ));
        }
        self.remaining_bytes -= bytes.len() as u64;
        encoding::decode(bytes).map(Some)
    }
}

fn file_error(error: ZipError) -> FileError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            FileError::new(FileErrorKind::Encrypted, "The file is protected by a password.")
        }
        ZipError::Io(error) => super::unreadable(error),
        _ => FileError::new(FileErrorKind::Corrupt, "The file's container is cut short or damaged."),
    }
}
