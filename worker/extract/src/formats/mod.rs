//! One file per format. Each builds a document with [`DocumentBuilder`](builder::DocumentBuilder), or, for text files, finds the
//! elements in the file itself.

mod archive;
mod builder;
mod docx;
mod docx_styles;
mod encoding;
mod html;
mod markdown;
mod ole;
mod pdf;
mod plain;
mod rows;

use std::fs::File;
use std::io::{self, Read, Seek};

pub(super) use self::archive::compression_limit;
use super::{ExtractLimits, FileInfo, MediaType, SNIFF_BYTES, sniff};
use crate::{Document, ElementKind, FileError, FileErrorKind};

/// Reads a file of any supported media type.
pub(super) fn read(mut file: File, info: &FileInfo, limits: &ExtractLimits) -> Result<Document, FileError> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    (&file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if head.is_empty() {
        return Err(FileError::new(FileErrorKind::Empty, "The file has no bytes."));
    }

    match sniff(&head, &info.file_name, info.declared_type.as_deref()) {
        MediaType::Pdf => pdf::read(&all_bytes(file)?, limits),
        MediaType::Docx | MediaType::Zip => docx::read(file, limits),
        MediaType::Ole => Err(ole::file_error(&all_bytes(file)?)),
        MediaType::Html => html::read(&encoding::decode(text_bytes(file, limits)?)?, limits),
        MediaType::Markdown => plain_text(file, limits, markdown::describe),
        MediaType::Csv => plain_text(file, limits, |text| plain::describe(text, ElementKind::Table)),
        MediaType::Json | MediaType::Xml | MediaType::SourceCode => {
            plain_text(file, limits, |text| plain::describe(text, ElementKind::Code))
        }
        MediaType::PlainText => plain_text(file, limits, |text| plain::describe(text, ElementKind::Paragraph)),
        MediaType::Unsupported => {
            Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows this kind of content."))
        }
    }
}

/// A document whose text is the file itself.
fn plain_text(
    file: File,
    limits: &ExtractLimits,
    describe: impl Fn(String) -> Document,
) -> Result<Document, FileError> {
    let text = encoding::decode(text_bytes(file, limits)?)?;
    if text.len() as u64 > limits.max_text_bytes {
        return Err(too_much_text());
    }
    let document = describe(text);
    if document.elements.is_empty() {
        return Err(FileError::new(FileErrorKind::Empty, "The file contains only white space."));
    }
    Ok(document)
}

/// All bytes of a text file. A file longer than the limit is rejected by its length, before it is read.
fn text_bytes(file: File, limits: &ExtractLimits) -> Result<Vec<u8>, FileError> {
    if file.metadata().map_err(unreadable)?.len() > limits.max_text_bytes {
        return Err(too_much_text());
    }
    all_bytes(file)
}

fn all_bytes(mut file: File) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn unreadable(error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::OutOfMemory => {
            FileError::new(FileErrorKind::OutOfMemory, "Reading the content takes more memory than one file may take.")
        }
        _ => FileError::new(FileErrorKind::Corrupt, "The content cannot be read to its end."),
    }
}

fn too_much_text() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "There is more text than one file may have.")
}
