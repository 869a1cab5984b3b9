//! OLE containers: files of Office before 2007, mails of Outlook, and documents with a password.

use std::fs::File;
use std::io::{BufReader, Seek};

use cfb::CompoundFile;

use super::builder::DocumentBuilder;
use super::failures::unreadable;
use super::{doc, msg, ppt, sheets, xls};
use crate::{ExtractLimits, FileError, FileErrorKind, MediaType};

/// Reads a container by what is in it.
pub(super) fn read(mut file: File, limits: &ExtractLimits, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let copy = file.try_clone().map_err(unreadable)?;
    let mut container = match CompoundFile::open(BufReader::new(copy)) {
        Ok(container) => container,
        Err(_) => {
            // Workbooks are read in spite of damage that others are not.
            file.rewind().map_err(unreadable)?;
            return sheets::read(file, MediaType::Xls, limits, builder)
                .map_err(|_| FileError::new(FileErrorKind::Corrupt, "The file's container is cut short or damaged."));
        }
    };
    if container.exists("/EncryptedPackage") {
        return Err(FileError::new(FileErrorKind::Encrypted, "The document is protected by a password."));
    }
    if msg::is_mail(&container) {
        return msg::read(container, builder);
    }
    if let Some(name) = xls::stream_name(&container) {
        return xls::read(&mut container, name, limits, builder);
    }
    if container.exists("/WordDocument") {
        return doc::read(&mut container, builder);
    }
    if container.exists("/PowerPoint Document") {
        return ppt::read(&mut container, limits, builder);
    }
    Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows what is in this container."))
}
