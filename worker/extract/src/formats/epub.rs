//! Electronic books: the chapters in the order of the spine, each a web page.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::archive::{Archive, resolved};
use super::builder::DocumentBuilder;
use super::html;
use super::markup::{attribute, first_text, malformed};
use crate::{FileError, FileErrorKind, MediaType};

/// Reads a book.
pub(super) fn read(archive: &mut Archive, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let damaged = || FileError::new(FileErrorKind::Corrupt, "The book has no list of its chapters.");
    let container = archive.text("META-INF/container.xml")?.ok_or_else(damaged)?;
    let package = package_name(&container)?.ok_or_else(damaged)?;
    let xml = archive.text(&package)?.ok_or_else(damaged)?;
    let encrypted = archive.text("META-INF/encryption.xml")?.unwrap_or_default();
    builder.media_type(MediaType::Epub);
    builder.if_empty("The book has no text.");
    builder.title(&first_text(&xml, "title")?);
    builder.property("author", &first_text(&xml, "creator")?);
    builder.property("language", &first_text(&xml, "language")?);
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (chapter, number) in spine(&xml)?.iter().zip(1..) {
        let name = resolved(folder, chapter);
        // Books also list the fonts that they obscure, which is no protection of the text.
        if encrypted.contains(chapter.as_str()) {
            return Err(FileError::new(FileErrorKind::Encrypted, "The book is protected by a digital lock."));
        }
        match archive.text(&name)? {
            Some(page) => html::read_into(&page, builder)?,
            None => builder.skip(FileError::new(FileErrorKind::Corrupt, format!("Chapter {number} is missing.")))?,
        }
    }
    Ok(())
}

fn package_name(xml: &str) -> Result<Option<String>, FileError> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "rootfile" => {
                return Ok(attribute(&tag, "full-path"));
            }
            Event::Eof => return Ok(None),
            _ => {}
        }
    }
}

/// The addresses of the chapters in reading order, those out of it at the end.
fn spine(xml: &str) -> Result<Vec<String>, FileError> {
    let mut reader = Reader::from_str(xml);
    let mut parts: HashMap<String, String> = HashMap::new();
    let (mut chapters, mut beside) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                "item" => {
                    let is_page = attribute(&tag, "media-type").is_some_and(|kind| kind.contains("html"));
                    if let (true, Some(id), Some(address)) = (is_page, attribute(&tag, "id"), attribute(&tag, "href")) {
                        parts.insert(id, address);
                    }
                }
                "itemref" => {
                    let is_beside = attribute(&tag, "linear").is_some_and(|linear| linear == "no");
                    let chapter = attribute(&tag, "idref").and_then(|id| parts.get(&id)).cloned();
                    if is_beside { &mut beside } else { &mut chapters }.extend(chapter);
                }
                _ => {}
            },
            Event::Eof => {
                chapters.append(&mut beside);
                return Ok(chapters);
            }
            _ => {}
        }
    }
}
