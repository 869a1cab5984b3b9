//! One file per format. Each builds a document with [`DocumentBuilder`](builder::DocumentBuilder), or, for text files, finds the
//! elements in the file itself.

mod archive;
mod builder;
mod docx;
mod docx_numbering;
mod docx_styles;
mod epub;
mod escapes;
mod html;
mod mail;
mod markdown;
mod markup;
pub(crate) mod msg;
mod notebook;
mod odf;
mod ole;
mod pdf;
mod picture;
mod plain;
mod pptx;
mod rows;
mod rtf;
mod sheets;
mod symbols;

use std::fs::File;
use std::io::{self, Read, Seek};

use self::archive::Archive;
pub(super) use self::archive::compression_limit;
use super::{ExtractLimits, FileInfo, MediaType, SNIFF_BYTES, sniff};
use crate::encoding;
use crate::ocr::Ocr;
use crate::{Document, ElementKind, FileError, FileErrorKind};

/// Reads a file of any supported media type.
pub(super) fn read(
    mut file: File,
    info: &FileInfo,
    limits: &ExtractLimits,
    ocr: &mut Ocr,
) -> Result<Document, FileError> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    (&file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if head.is_empty() {
        return Err(FileError::new(FileErrorKind::Empty, "The file has no bytes."));
    }

    let media_type = sniff(&head, &info.file_name, info.declared_type.as_deref());
    match media_type {
        MediaType::Pdf => pdf::read(all_bytes(file)?, limits, ocr),
        MediaType::Docx
        | MediaType::Pptx
        | MediaType::Xlsx
        | MediaType::Xlsb
        | MediaType::Odt
        | MediaType::Odp
        | MediaType::Ods
        | MediaType::Epub
        | MediaType::Zip => container(file, limits),
        MediaType::Ole | MediaType::Xls | MediaType::Outlook => ole::read(file, limits),
        MediaType::Rtf => rtf::read(&all_bytes(file)?, limits),
        MediaType::Mail => mail::read(&text_bytes(file, limits)?, limits),
        MediaType::Mailbox => mail::read_mailbox(&text_bytes(file, limits)?, limits),
        MediaType::Html => html::read(&encoding::decode(text_bytes(file, limits)?)?, limits),
        MediaType::Markdown => plain_text(file, limits, markdown::describe),
        MediaType::Csv => plain_text(file, limits, plain::describe_records),
        MediaType::Json | MediaType::Notebook => json(file, limits),
        MediaType::Xml => {
            plain_text(file, limits, |text| plain::describe(escapes::xml(&text).unwrap_or(text), ElementKind::Code))
        }
        MediaType::SourceCode => {
            let mut document = plain_text(file, limits, |text| plain::describe(text, ElementKind::Code))?;
            if let Some(language) = sniff::language(&info.file_name) {
                document.properties.insert("language".to_owned(), language.to_owned());
            }
            Ok(document)
        }
        MediaType::PlainText => plain_text(file, limits, |text| plain::describe(text, ElementKind::Paragraph)),
        MediaType::Png | MediaType::Jpeg | MediaType::Tiff | MediaType::Webp | MediaType::Bmp | MediaType::Gif => {
            picture::read(&all_bytes(file)?, media_type, limits, ocr)
        }
        MediaType::Unsupported => {
            Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows this kind of content."))
        }
    }
}

/// Reads a zip container by what is in it, whatever its name says.
fn container(file: File, limits: &ExtractLimits) -> Result<Document, FileError> {
    let copy = file.try_clone().map_err(unreadable)?;
    let mut archive = Archive::open(file, limits)?;
    let mimetype = archive.head("mimetype")?.unwrap_or_default();
    let main =
        archive.relationships("")?.into_iter().find(|part| part.kind == "officeDocument").map(|part| part.target);
    let main = main.filter(|main| archive.has(main));
    let usual = || ["word/document.xml", "ppt/presentation.xml", "xl/workbook.xml", "xl/workbook.bin"];
    let main = main.or_else(|| usual().into_iter().find(|name| archive.has(name)).map(str::to_owned));
    let open_document = |suffix: &str| mimetype.contains("opendocument") && mimetype.contains(suffix);
    if open_document("spreadsheet") {
        odf::check_protection(&mut archive)?;
        archive.check_size()?;
        return sheets::read(copy, MediaType::Ods, limits);
    }
    if open_document("presentation") || open_document("graphics") {
        return odf::read(archive, MediaType::Odp, limits);
    }
    if mimetype.contains("opendocument") {
        return odf::read(archive, MediaType::Odt, limits);
    }
    if mimetype.contains("epub") || (main.is_none() && archive.has("META-INF/container.xml")) {
        return epub::read(archive, limits);
    }
    if let Some(main) = main {
        if main.ends_with(".bin") {
            archive.check_size()?;
            return sheets::read(copy, MediaType::Xlsb, limits);
        }
        let head = archive.head(&main)?.unwrap_or_default();
        match root_element(&head) {
            "presentation" => return pptx::read(archive, &main, limits),
            "workbook" => {
                archive.check_size()?;
                return sheets::read(copy, MediaType::Xlsx, limits);
            }
            "document" => return docx::read(archive, &main, limits),
            // The reader says what is wrong with the markup.
            _ if main.to_lowercase().contains("word/") => return docx::read(archive, &main, limits),
            _ => {}
        }
    }
    if archive.has("content.xml") && archive.has("META-INF/manifest.xml") {
        return odf::read(archive, MediaType::Odt, limits);
    }
    Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows what is in this container."))
}

/// The name of the first element of an XML text, without prefix.
fn root_element(xml: &str) -> &str {
    let tags = xml.split('<').skip(1);
    let tag = tags.into_iter().find(|tag| tag.starts_with(|c: char| c.is_alphabetic())).unwrap_or_default();
    let name = tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

/// Reads JSON, which may be a notebook.
fn json(file: File, limits: &ExtractLimits) -> Result<Document, FileError> {
    let text = encoding::decode(text_bytes(file, limits)?)?;
    if text.contains("\"nbformat\"") {
        let value: Option<serde_json::Value> = serde_json::from_str(text.trim_start_matches('\u{FEFF}')).ok();
        if value.is_some_and(|value| notebook::is_notebook(&value)) {
            return notebook::read(&text, limits);
        }
    }
    described(escapes::json(&text).unwrap_or(text), limits, |text| plain::describe(text, ElementKind::Code))
}

/// A document whose text is the file itself.
fn plain_text(
    file: File,
    limits: &ExtractLimits,
    describe: impl Fn(String) -> Document,
) -> Result<Document, FileError> {
    described(encoding::decode(text_bytes(file, limits)?)?, limits, describe)
}

fn described(
    text: String,
    limits: &ExtractLimits,
    describe: impl Fn(String) -> Document,
) -> Result<Document, FileError> {
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

fn too_many_pages() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "There are more pages than one file may have.")
}

fn too_much_text() -> FileError {
    FileError::new(FileErrorKind::TooLarge, "There is more text than one file may have.")
}
