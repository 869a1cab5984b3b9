//! Word documents: the body's paragraphs and tables in order, then foot- and endnotes.

use std::fs::File;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::archive::Archive;
use super::builder::DocumentBuilder;
use super::docx_styles::{Styles, attribute, outline_level};
use super::rows::TableRows;
use crate::{Document, ElementKind, ExtractLimits, FileError, FileErrorKind};

/// Reads a zip container as a Word document.
///
/// # Errors
/// `unsupported_media` for a container of something else.
pub(super) fn read(file: File, limits: &ExtractLimits) -> Result<Document, FileError> {
    let mut archive = Archive::open(file, limits)?;
    let Some(body) = archive.text("word/document.xml")? else {
        return Err(FileError::new(FileErrorKind::UnsupportedMedia, "No reader knows what is in this container."));
    };
    let styles = match archive.text("word/styles.xml")? {
        Some(xml) => Styles::read(&xml).map_err(malformed)?,
        None => Styles::default(),
    };
    let mut builder = DocumentBuilder::new(limits);
    if let Some(properties) = archive.text("docProps/core.xml")? {
        builder.title(&title(&properties).map_err(malformed)?);
    }
    add_part(&mut builder, &styles, &body)?;
    drop(body);
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(xml) = archive.text(notes)? {
            add_part(&mut builder, &styles, &xml)?;
        }
    }
    builder.finish("The document has no text.")
}

fn malformed(_: quick_xml::Error) -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The document's markup is malformed.")
}

/// The text of the first element named `title`.
fn title(xml: &str) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(xml);
    let mut text = None;
    loop {
        match reader.read_event()? {
            Event::Start(tag) if tag.local_name().as_ref() == "title" => text = Some(String::new()),
            Event::End(tag) if tag.local_name().as_ref() == "title" => return Ok(text.unwrap_or_default()),
            Event::Eof => return Ok(String::new()),
            event => {
                if let Some(text) = &mut text {
                    append_text(text, &event);
                }
            }
        }
    }
}

fn append_text(text: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(words) => text.push_str(&words.xml_content(XmlVersion::Implicit1_0)),
        Event::CData(words) => text.push_str(&words.xml_content(XmlVersion::Implicit1_0)),
        // Only XML's predefined entities: entities of a document type can expand without bound.
        Event::GeneralRef(name) => match name.resolve_char_ref() {
            Ok(Some(c)) => text.push(c),
            _ => text.push_str(resolve_predefined_entity(name).unwrap_or_default()),
        },
        _ => {}
    }
}

fn add_part(builder: &mut DocumentBuilder, styles: &Styles, xml: &str) -> Result<(), FileError> {
    let mut reader = Reader::from_str(xml);
    let mut walk = Walk { builder, styles, paragraphs: Vec::new(), table: None, cell: String::new(), in_text: false };
    loop {
        match reader.read_event().map_err(malformed)? {
            // The fallback of a drawing, the origin of a moved passage, and properties before a tracked change would repeat or
            // restore text.
            Event::Start(tag) if matches!(tag.local_name().as_ref(), "Fallback" | "moveFrom" | "pPrChange") => {
                reader.read_to_end(tag.name()).map_err(malformed)?;
            }
            Event::Start(tag) => walk.start(&tag),
            Event::Empty(tag) => {
                walk.start(&tag);
                walk.end(tag.local_name().as_ref())?;
            }
            Event::End(tag) => walk.end(tag.local_name().as_ref())?,
            Event::Eof => return Ok(()),
            event if walk.in_text => {
                if let Some(paragraph) = walk.paragraphs.last_mut() {
                    append_text(&mut paragraph.text, &event);
                }
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Paragraph {
    text: String,
    element_kind: Option<ElementKind>,
    /// Within the paragraph's properties, where `w:tab` is a tab stop and not a tab.
    in_properties: bool,
}

struct Walk<'a> {
    builder: &'a mut DocumentBuilder,
    styles: &'a Styles,
    /// The open paragraphs: a text box puts paragraphs into a paragraph.
    paragraphs: Vec<Paragraph>,
    /// The outermost open table and the nesting depth; an inner table is part of its cell's text.
    table: Option<(TableRows, usize)>,
    cell: String,
    in_text: bool,
}

impl Walk<'_> {
    fn start(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.table.get_or_insert_with(Default::default).1 += 1,
            "tr" => {
                if let Some((rows, 1)) = &mut self.table {
                    rows.row();
                }
            }
            "t" => self.in_text = true,
            name => {
                let Some(paragraph) = self.paragraphs.last_mut() else { return };
                match name {
                    "pPr" => paragraph.in_properties = true,
                    "pStyle" => {
                        let style = attribute(tag, "val").unwrap_or_default();
                        paragraph.element_kind = self.styles.element_kind(&style).or(paragraph.element_kind);
                    }
                    "numPr" => paragraph.element_kind = paragraph.element_kind.or(Some(ElementKind::ListItem)),
                    "outlineLvl" => paragraph.element_kind = paragraph.element_kind.or(outline_level(tag)),
                    "tab" if !paragraph.in_properties => paragraph.text.push('\t'),
                    "br" | "cr" => paragraph.text.push('\n'),
                    "noBreakHyphen" => paragraph.text.push('-'),
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "t" => self.in_text = false,
            "pPr" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.in_properties = false;
                }
            }
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.add(paragraph)?;
                }
            }
            "tc" => {
                if let Some((rows, 1)) = &mut self.table {
                    rows.cell(&std::mem::take(&mut self.cell));
                }
            }
            "tbl" => match self.table.take() {
                Some((rows, 1)) => self.builder.push(ElementKind::Table, &rows.text())?,
                Some((rows, depth)) => self.table = Some((rows, depth - 1)),
                None => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, paragraph: Paragraph) -> Result<(), FileError> {
        if self.table.is_some() {
            self.cell.push(' ');
            self.cell.push_str(&paragraph.text);
            return Ok(());
        }
        match paragraph.element_kind {
            Some(ElementKind::ListItem) if !paragraph.text.trim().is_empty() => {
                self.builder.push(ElementKind::ListItem, &format!("- {}", paragraph.text.trim()))
            }
            Some(ElementKind::Title) => {
                self.builder.title(&paragraph.text);
                self.builder.push(ElementKind::Title, &paragraph.text)
            }
            element_kind => self.builder.push(element_kind.unwrap_or(ElementKind::Paragraph), &paragraph.text),
        }
    }
}
