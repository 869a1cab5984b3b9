//! Presentations (Office Open XML): slides in order, each a page, with their tables and notes.

use std::collections::HashSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::archive::{Archive, Relationship};
use super::builder::DocumentBuilder;
use super::charts;
use super::failures::too_many_pages;
use super::markup::{append_text, attribute, first_text, malformed, number};
use super::rows::TableRows;
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Reads the main part of a presentation.
pub(super) fn read(
    archive: &mut Archive,
    main: &str,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    builder.media_type(MediaType::Pptx);
    builder.if_empty("The presentation has no text.");
    if let Some(properties) = archive.text("docProps/core.xml")? {
        builder.title(&first_text(&properties, "title")?);
        builder.property("author", &first_text(&properties, "creator")?);
    }
    let related = archive.relationships(main)?;
    let order = slide_ids(&archive.text(main)?.unwrap_or_default())?;
    let slides: Vec<_> = order
        .iter()
        .filter_map(|id| related.iter().find(|part| part.id == *id && part.kind == "slide"))
        .map(|part| part.target.clone())
        .collect();
    let count = u32::try_from(slides.len()).unwrap_or(u32::MAX);
    if count > limits.max_pages {
        builder.skip(too_many_pages())?;
    }
    builder.page_count(count);
    let mut layouts = Layouts::default();
    for (name, page) in slides.iter().zip(1..=limits.max_pages) {
        builder.page(page);
        let Some(xml) = archive.text(name)? else {
            builder.skip(FileError::new(FileErrorKind::Corrupt, format!("Slide {page} is missing.")))?;
            continue;
        };
        if let Err(failure) = Walk::new(builder).part(&xml) {
            builder.skip(failure)?;
        }
        let related = archive.relationships(name)?;
        match layouts.add(archive, &xml, &related, builder) {
            Err(failure) if failure.kind == FileErrorKind::Corrupt => {
                builder.warn(format!("The layout of slide {page} was not read."));
            }
            added => added?,
        }
        for part in related {
            match part.kind.as_str() {
                "chart" | "diagramData" => {
                    if let Some(xml) = archive.text(&part.target)? {
                        builder.push(ElementKind::Aside, &charts::words(&xml)?)?;
                    }
                }
                "notesSlide" | "comments" => {
                    if let Some(xml) = archive.text(&part.target)? {
                        let mut walk = Walk::new(builder);
                        walk.note = Some(String::new());
                        walk.part(&xml)?;
                        let note = walk.note.unwrap_or_default();
                        builder.push(ElementKind::Aside, &note)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The layouts and masters whose texts are added: those of many slides stand once.
#[derive(Default)]
struct Layouts {
    added: HashSet<String>,
}

impl Layouts {
    /// Adds what layout and master show on a slide beside its own text.
    fn add(
        &mut self,
        archive: &mut Archive,
        slide: &str,
        related: &[Relationship],
        builder: &mut DocumentBuilder,
    ) -> Result<(), FileError> {
        let Some(layout) = related.iter().find(|part| part.kind == "slideLayout") else { return Ok(()) };
        let Some(xml) = self.part(archive, slide, layout)? else { return Ok(()) };
        Self::add_texts(&xml, builder)?;
        let masters = archive.relationships(&layout.target)?;
        let Some(master) = masters.iter().find(|part| part.kind == "slideMaster") else { return Ok(()) };
        match self.part(archive, &xml, master)? {
            Some(xml) => Self::add_texts(&xml, builder),
            None => Ok(()),
        }
    }

    /// A part below another one, unless that hides it or it is added already.
    fn part(&mut self, archive: &mut Archive, above: &str, part: &Relationship) -> Result<Option<String>, FileError> {
        if !shows_master(above) || !self.added.insert(part.target.clone()) {
            return Ok(None);
        }
        archive.text(&part.target)
    }

    fn add_texts(xml: &str, builder: &mut DocumentBuilder) -> Result<(), FileError> {
        let mut walk = Walk::new(builder);
        walk.note = Some(String::new());
        walk.is_layout = true;
        walk.part(xml)?;
        let texts = walk.note.unwrap_or_default();
        builder.aside(&texts)
    }
}

/// Whether a slide or a layout shows what stands on the part below it.
fn shows_master(xml: &str) -> bool {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                return attribute(&tag, "showMasterSp").is_none_or(|shows| shows != "0" && shows != "false");
            }
            Ok(Event::Eof) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

/// The identifiers of the slides in their order.
fn slide_ids(xml: &str) -> Result<Vec<String>, FileError> {
    let mut reader = Reader::from_str(xml);
    let mut ids = Vec::new();
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "sldId" => {
                // Two attributes have this name without its prefix.
                let id = tag
                    .attributes()
                    .flatten()
                    .find(|attribute| attribute.key.local_name().as_ref() == "id" && attribute.key.prefix().is_some());
                ids.extend(id.map(|attribute| attribute.value.to_string()));
            }
            Event::Eof => return Ok(ids),
            _ => {}
        }
    }
}

struct Walk<'a> {
    builder: &'a mut DocumentBuilder,
    /// The placeholder that the open shape fills.
    placeholder: String,
    paragraph: String,
    in_text: bool,
    level: usize,
    has_bullet: bool,
    table: Option<TableRows>,
    cell: String,
    spans: (usize, usize),
    is_merged: bool,
    /// The text of notes, or of a layout.
    note: Option<String>,
    /// Reading a layout or a master, whose placeholders have texts of their own only for authors.
    is_layout: bool,
    is_hidden: bool,
}

impl<'a> Walk<'a> {
    fn new(builder: &'a mut DocumentBuilder) -> Self {
        Self {
            builder,
            placeholder: String::new(),
            paragraph: String::new(),
            in_text: false,
            level: 0,
            has_bullet: false,
            table: None,
            cell: String::new(),
            spans: (1, 1),
            is_merged: false,
            note: None,
            is_layout: false,
            is_hidden: false,
        }
    }

    fn part(&mut self, xml: &str) -> Result<(), FileError> {
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(tag) if tag.local_name().as_ref() == "Fallback" => {
                    reader.read_to_end(tag.name()).map_err(malformed)?;
                }
                Event::Start(tag) => self.start(&tag)?,
                Event::Empty(tag) => {
                    self.start(&tag)?;
                    self.end(tag.local_name().as_ref())?;
                }
                Event::End(tag) => self.end(tag.local_name().as_ref())?,
                Event::Eof => return Ok(()),
                event if self.in_text => append_text(&mut self.paragraph, &event),
                _ => {}
            }
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), FileError> {
        match tag.local_name().as_ref() {
            "sp" | "graphicFrame" | "pic" => {
                self.placeholder.clear();
                self.is_hidden = false;
            }
            "ph" => self.placeholder = attribute(tag, "type").unwrap_or_else(|| "body".to_owned()),
            "cNvPr" => {
                self.is_hidden = attribute(tag, "hidden").is_some_and(|hidden| hidden == "1" || hidden == "true");
                if let Some(words) = attribute(tag, "descr").filter(|_| !self.is_hidden && self.note.is_none()) {
                    self.builder.push(ElementKind::Aside, &words)?;
                }
            }
            "p" => {
                self.paragraph.clear();
                (self.level, self.has_bullet) = (0, false);
            }
            "pPr" => self.level = number(tag, "lvl").unwrap_or(0),
            "buChar" | "buAutoNum" => self.has_bullet = true,
            // The text of comments is `p:text`.
            "t" | "text" => self.in_text = true,
            "br" => self.paragraph.push('\n'),
            "tbl" => self.table = Some(TableRows::default()),
            "tr" => {
                if let Some(rows) = &mut self.table {
                    rows.row();
                }
            }
            "tc" => {
                self.cell.clear();
                self.spans = (number(tag, "gridSpan").unwrap_or(1), number(tag, "rowSpan").unwrap_or(1));
                self.is_merged = ["hMerge", "vMerge"]
                    .iter()
                    .any(|name| attribute(tag, name).is_some_and(|value| value == "1" || value == "true"));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "t" => self.in_text = false,
            "text" => {
                self.in_text = false;
                self.add()?;
            }
            "p" => self.add()?,
            "tc" => {
                if let Some(rows) = &mut self.table
                    && !self.is_merged
                {
                    rows.spanning_cell(&self.cell, self.spans.0, self.spans.1);
                }
            }
            "tbl" => {
                if let Some(mut rows) = self.table.take() {
                    self.builder.table(&mut rows)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self) -> Result<(), FileError> {
        let text = std::mem::take(&mut self.paragraph);
        if self.is_hidden {
            return Ok(());
        }
        if self.table.is_some() {
            self.cell.push(' ');
            self.cell.push_str(&text);
            return Ok(());
        }
        if let Some(note) = &mut self.note {
            match self.placeholder.as_str() {
                "hdr" | "ftr" if !self.is_layout => return self.builder.aside(&text),
                // The notes page repeats the number of the slide.
                "sldNum" | "sldImg" | "hdr" | "ftr" | "dt" => {}
                placeholder if self.is_layout && !placeholder.is_empty() => {}
                _ => {
                    note.push_str(text.trim());
                    note.push('\n');
                }
            }
            return Ok(());
        }
        match self.placeholder.as_str() {
            "title" | "ctrTitle" => self.builder.push(ElementKind::Heading { level: 1 }, &text),
            "subTitle" => self.builder.push(ElementKind::Paragraph, &text),
            "sldNum" => Ok(()),
            "ftr" | "dt" | "hdr" => self.builder.aside(&text),
            _ if text.trim().is_empty() => Ok(()),
            "body" | "obj" => self
                .builder
                .push(ElementKind::ListItem, &format!("{}- {}", "  ".repeat(self.level.min(8)), text.trim())),
            _ if self.has_bullet => self.builder.push(ElementKind::ListItem, &format!("- {}", text.trim())),
            _ => self.builder.push(ElementKind::Paragraph, &text),
        }
    }
}
