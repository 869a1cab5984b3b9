//! Parts of a zip container, unfolded under a budget.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::encoding;
use crate::{FileError, FileErrorKind, Limits};

/// Markup shrinks to a fifth or, at its most repetitive, a fiftieth. Beyond this it was made to explode.
const MAX_RATIO: u64 = 200;
/// Below this size a ratio proves nothing.
const RATIO_FLOOR: u64 = 16 << 20;

pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// What the parts still to come may unfold to.
    budget: u64,
}

impl Archive {
    pub(super) fn open(file: File, limits: &Limits) -> Result<Self, FileError> {
        let zip = ZipArchive::new(BufReader::new(file)).map_err(refused)?;
        Ok(Self { zip, budget: limits.max_expanded_bytes })
    }

    /// A part's text, or nothing when there is no part of this name.
    ///
    /// Sizes are counted while unfolding: what the container says of itself is not believed.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FileError> {
        let part = match self.zip.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(refused(error)),
        };
        let cap = self.budget.min(part.compressed_size().saturating_mul(MAX_RATIO).max(RATIO_FLOOR));
        let mut bytes = Vec::new();
        part.take(cap + 1).read_to_end(&mut bytes).map_err(super::unreadable)?;
        if bytes.len() as u64 > cap {
            return Err(FileError::new(FileErrorKind::TooLarge, "The file unfolds to more than one file may hold."));
        }
        self.budget -= bytes.len() as u64;
        encoding::decode(bytes).map(Some)
    }
}

fn refused(error: ZipError) -> FileError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            FileError::new(FileErrorKind::Encrypted, "The file is protected by a password.")
        }
        ZipError::Io(error) => super::unreadable(error),
        _ => FileError::new(FileErrorKind::Corrupt, "The file's container is cut short or damaged."),
    }
}
