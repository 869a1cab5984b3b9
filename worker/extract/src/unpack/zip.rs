//! Members of a zip container.

use std::{
    io::{Read, Seek},
    rc::Rc,
};

use zip::{ZipArchive, result::ZipError};

use super::{
    budget::{Budgets, LimitedMember},
    stop::Stop,
};
use crate::formats::compression_limit;

/// The parts that make a container a document: of Office Open XML, and of OpenDocument and EPUB.
const DOCUMENT_PARTS: [&str; 2] = ["[Content_Types].xml", "mimetype"];

/// A source of bytes with positions.
pub(super) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Calls `member` with the content and path of each file in a container, of which there may be `max_members`. False: it is an
/// office document, and nothing was called.
pub(super) fn each(
    mut source: &mut dyn Source,
    budgets: &Budgets,
    max_members: usize,
    member: &mut dyn FnMut(&mut dyn Read, &str) -> Result<(), Stop>,
) -> Result<bool, Stop> {
    let mut archive = ZipArchive::new(&mut source).map_err(|error| fault(error, budgets))?;
    if DOCUMENT_PARTS.iter().any(|part| archive.index_for_name(part).is_some()) {
        return Ok(false);
    }
    if archive.file_names_raw().filter(|name| !name.ends_with(b"/")).count() > max_members {
        return Err(Stop::too_many());
    }
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| fault(error, budgets))?;
        if !file.is_file() {
            continue;
        }
        let path = match file.name() {
            Ok(name) => name.into_owned(),
            Err(_) => String::from_utf8_lossy(file.name_raw()).into_owned(),
        };
        let remaining = compression_limit(file.compressed_size());
        let mut reader = LimitedMember { reader: file, remaining, budget: Rc::clone(&budgets.members) };
        member(&mut reader, &path)?;
    }
    Ok(true)
}

fn fault(error: ZipError, budgets: &Budgets) -> Stop {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => Stop::encrypted(),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => Stop::unsupported(),
        ZipError::Io(error) => budgets.fault(&error),
        _ => Stop::corrupt(),
    }
}
