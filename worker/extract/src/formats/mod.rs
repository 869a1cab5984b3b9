//! One file per format. Each builds a document with [`DocumentBuilder`](builder::DocumentBuilder), or, for text files, finds the
//! elements in the file itself.

mod archive;
mod boxes;
mod builder;
mod cell_formats;
mod cell_values;
mod charts;
mod code;
mod code_definitions;
mod code_lines;
mod decimal;
mod doc;
mod doc_encodings;
mod doc_paragraphs;
mod docx;
mod docx_alternatives;
mod docx_numbering;
mod docx_styles;
mod epub;
mod escapes;
mod failures;
mod html;
mod html_main;
mod html_tags;
mod input;
mod mail;
mod markdown;
mod markup;
pub(crate) mod msg;
mod notebook;
mod number_dates;
mod number_format;
mod number_sections;
mod odf;
mod odf_numbering;
mod ods;
mod ole;
mod pdf;
mod picture;
mod plain;
mod ppt;
mod ppt_objects;
mod pptx;
mod rows;
mod rtf;
mod rtf_encodings;
mod rtf_tokens;
mod sheets;
mod summary;
mod symbols;
mod xls;
mod xls_texts;
mod xlsb;
mod zip_recovery;

use std::fs::File;
use std::io::{Read, Seek};

use self::archive::Archive;
pub(super) use self::archive::compression_limit;
use self::builder::{DocumentBuilder, build};
use self::failures::{too_much_text, unreadable};
use self::input::Input;
use super::{ExtractLimits, FileInfo, MediaType, SNIFF_BYTES, sniff};
use crate::encoding;
use crate::ocr::Ocr;
use crate::{Document, ElementKind, FileError, FileErrorKind};

/// Reads a file of any supported media type.
pub(super) fn read(file: File, info: &FileInfo, limits: &ExtractLimits, ocr: &mut Ocr) -> Result<Document, FileError> {
    build(limits, |builder| read_into(file, info, limits, ocr, builder))
}

fn read_into(
    mut file: File,
    info: &FileInfo,
    limits: &ExtractLimits,
    ocr: &mut Ocr,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    (&file).take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if head.is_empty() {
        return Err(FileError::new(FileErrorKind::Empty, "The file has no bytes."));
    }

    let media_type = sniff(&head, &info.file_name, info.declared_type.as_deref());
    match media_type {
        MediaType::Pdf => pdf::read(all_bytes(file)?, limits, ocr, builder),
        MediaType::Docx
        | MediaType::Pptx
        | MediaType::Xlsx
        | MediaType::Xlsb
        | MediaType::Odt
        | MediaType::Odp
        | MediaType::Ods
        | MediaType::Epub
        | MediaType::Zip => container(file, limits, builder),
        MediaType::Ole | MediaType::Doc | MediaType::Ppt | MediaType::Xls | MediaType::Outlook => {
            ole::read(file, limits, builder)
        }
        MediaType::Rtf => {
            builder.media_type(MediaType::Rtf);
            builder.if_empty("The document has no text.");
            rtf::read(&all_bytes(file)?, builder)
        }
        // Most bytes of a mail are attachments, which are no text of it.
        MediaType::Mail => mail::read(&bytes_within(file, limits.max_expanded_bytes, builder)?, builder),
        MediaType::Mailbox => {
            mail::read_mailbox(&bytes_within(file, limits.max_expanded_bytes, builder)?, limits, builder)
        }
        MediaType::Html => {
            builder.if_empty("The page has no visible text.");
            html::read_into(&text(file, limits, builder)?, builder)
        }
        MediaType::Markdown => plain_text(file, limits, builder, markdown::describe),
        MediaType::Csv => plain_text(file, limits, builder, plain::describe_records),
        MediaType::Json | MediaType::Notebook => json(file, limits, builder),
        MediaType::Xml => plain_text(file, limits, builder, |text| {
            plain::describe(escapes::xml(&text).unwrap_or(text), ElementKind::Code)
        }),
        MediaType::SourceCode => {
            let language = sniff::language(&info.file_name);
            plain_text(file, limits, builder, |text| code::describe(text, language))?;
            builder.property("language", language.unwrap_or_default());
            Ok(())
        }
        MediaType::PlainText => plain_text(file, limits, builder, |text| plain::describe(text, ElementKind::Paragraph)),
        MediaType::Png | MediaType::Jpeg | MediaType::Tiff | MediaType::Webp | MediaType::Bmp | MediaType::Gif => {
            picture::read(&all_bytes(file)?, media_type, limits, ocr, builder)
        }
        MediaType::Unsupported => {
            let detail = match head.starts_with(sniff::RAR_SIGNATURE) {
                true => "RAR archives are not read: pack the files as zip, 7z or tar, or upload them alone.",
                false => "No reader knows this kind of content.",
            };
            Err(FileError::new(FileErrorKind::UnsupportedMedia, detail))
        }
    }
}

/// Reads a zip container by what is in it, whatever its name says.
fn container(file: File, limits: &ExtractLimits, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let mut input = Input::File(file);
    let mut archive = match Archive::open(input.reopened()?, limits) {
        Err(failure) if failure.kind == FileErrorKind::Corrupt && builder.is_partial() => {
            builder.skip(failure)?;
            input = zip_recovery::parts(&input, limits)?;
            Archive::open(input.reopened()?, limits)?
        }
        archive => archive?,
    };
    let read = parts(input, &mut archive, limits, builder);
    match archive.damage() {
        Some(damage) => builder.skip(damage).and(read),
        None => read,
    }
}

/// Reads the parts of a container. `input` is the container, for readers that open it themselves.
fn parts(
    input: Input,
    archive: &mut Archive,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    archive.keep_damaged(builder.is_partial());
    let mimetype = archive.head("mimetype")?.unwrap_or_default();
    let main =
        archive.relationships("")?.into_iter().find(|part| part.kind == "officeDocument").map(|part| part.target);
    let main = main.filter(|main| archive.has(main));
    let usual = || ["word/document.xml", "ppt/presentation.xml", "xl/workbook.xml", "xl/workbook.bin"];
    let main = main.or_else(|| usual().into_iter().find(|name| archive.has(name)).map(str::to_owned));
    let open_document = |suffix: &str| mimetype.contains("opendocument") && mimetype.contains(suffix);
    if open_document("spreadsheet") {
        return ods::read(archive, limits, builder);
    }
    if open_document("presentation") || open_document("graphics") {
        return odf::read(archive, MediaType::Odp, limits, builder);
    }
    if mimetype.contains("opendocument") {
        return odf::read(archive, MediaType::Odt, limits, builder);
    }
    if mimetype.contains("epub") || (main.is_none() && archive.has("META-INF/container.xml")) {
        return epub::read(archive, builder);
    }
    if let Some(main) = main {
        if main.ends_with(".bin") {
            return xlsb::read(archive, &main, limits, builder);
        }
        let head = archive.head(&main)?.unwrap_or_default();
        match root_element(&head) {
            "presentation" => return pptx::read(archive, &main, limits, builder),
            "workbook" => {
                archive.check_size()?;
                return sheets::read(input, MediaType::Xlsx, limits, builder);
            }
            "document" => return docx::read(archive, &main, limits, builder),
            // The reader says what is wrong with the markup.
            _ if main.to_lowercase().contains("word/") => return docx::read(archive, &main, limits, builder),
            _ => {}
        }
    }
    if archive.has("content.xml") && archive.has("META-INF/manifest.xml") {
        return odf::read(archive, MediaType::Odt, limits, builder);
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
fn json(file: File, limits: &ExtractLimits, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let text = text(file, limits, builder)?;
    if text.contains("\"nbformat\"") {
        let value: Option<serde_json::Value> = serde_json::from_str(text.trim_start_matches('\u{FEFF}')).ok();
        if value.is_some_and(|value| notebook::is_notebook(&value)) {
            return notebook::read(&text, builder);
        }
    }
    described(escapes::json(&text).unwrap_or(text), limits, builder, |text| plain::describe(text, ElementKind::Code))
}

/// A document whose text is the file itself.
fn plain_text(
    file: File,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
    describe: impl Fn(String) -> Document,
) -> Result<(), FileError> {
    let text = text(file, limits, builder)?;
    described(text, limits, builder, describe)
}

fn described(
    mut text: String,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
    describe: impl Fn(String) -> Document,
) -> Result<(), FileError> {
    if text.len() as u64 > limits.max_text_bytes {
        builder.skip(too_much_text())?;
        text.truncate(text.floor_char_boundary(usize::try_from(limits.max_text_bytes).unwrap_or(usize::MAX)));
    }
    builder.if_empty("The file contains only white space.");
    let document = describe(text);
    if !document.elements.is_empty() {
        builder.replace(document);
    }
    Ok(())
}

/// The text of a file.
fn text(file: File, limits: &ExtractLimits, builder: &mut DocumentBuilder) -> Result<String, FileError> {
    let bytes = bytes_within(file, limits.max_text_bytes, builder)?;
    if !builder.is_partial() {
        return encoding::decode(bytes);
    }
    let kept = encoding::text_bytes(&bytes);
    if kept < bytes.len() {
        builder.skip(encoding::turns_binary())?;
    }
    encoding::decode(bytes[..kept].to_vec())
}

/// All bytes of a file. One of more bytes than these is rejected by its length, before it is read.
fn bytes_within(file: File, max_bytes: u64, builder: &mut DocumentBuilder) -> Result<Vec<u8>, FileError> {
    if file.metadata().map_err(unreadable)?.len() <= max_bytes {
        return all_bytes(file);
    }
    builder.skip(too_much_text())?;
    let mut bytes = Vec::new();
    file.take(max_bytes).read_to_end(&mut bytes).map_err(unreadable)?;
    // A letter of several bytes is not cut, so that the encoding stays what it is.
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    Ok(bytes)
}

fn all_bytes(mut file: File) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
