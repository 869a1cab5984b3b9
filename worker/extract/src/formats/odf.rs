//! OpenDocument texts and presentations: headings, paragraphs, lists, tables; slides are pages.

use quick_xml::events::{BytesStart, Event};

use super::archive::Archive;
use super::builder::DocumentBuilder;
use super::failures::too_many_pages;
use super::markup::{ElementReader, append_text, attribute, check_end, first_text, number, texts};
use super::odf_numbering::Numbering;
use super::rows::TableRows;
use crate::{ElementKind, ExtractLimits, FileError, FileErrorKind, MediaType};

/// Most times that a repeated cell or row with content is repeated here.
const MAX_REPEATED: usize = 100;

/// Fails if parts of the document are encrypted.
pub(super) fn check_protection(archive: &mut Archive) -> Result<(), FileError> {
    let manifest = archive.text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(FileError::new(FileErrorKind::Encrypted, "The document is protected by a password."));
    }
    Ok(())
}

/// Adds title and author of the document.
pub(super) fn add_properties(archive: &mut Archive, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    if let Some(xml) = archive.text("meta.xml")? {
        builder.title(&first_text(&xml, "title")?);
        builder.property("author", &first_text(&xml, "creator")?);
    }
    Ok(())
}

/// Reads a text or a presentation.
pub(super) fn read(
    archive: &mut Archive,
    media_type: MediaType,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    check_protection(archive)?;
    builder.media_type(media_type);
    builder.if_empty("The document has no text.");
    add_properties(archive, builder)?;
    let Some(content) = archive.text("content.xml")? else {
        return Err(FileError::new(FileErrorKind::Corrupt, "The document has no content."));
    };
    let styles = archive.text("styles.xml")?;
    let mut numbering = Numbering::default();
    for part in styles.iter().chain([&content]) {
        // A part that is damaged is an error of its reader.
        let _damaged = numbering.read(part);
    }
    let mut walk = Walk::new(builder, limits);
    walk.numbering = numbering;
    walk.archive = Some(archive);
    let read = walk.body(&content);
    let pages = walk.page;
    if pages > 0 {
        builder.page_count(pages);
    }
    read?;
    drop(content);
    if let Some(styles) = styles {
        // Heads and feet of pages.
        let mut walk = Walk::new(builder, limits);
        walk.is_styles = true;
        walk.part(&styles)?;
    }
    Ok(())
}

struct Block {
    text: String,
    heading: Option<u8>,
    in_list: bool,
}

struct Walk<'a> {
    builder: &'a mut DocumentBuilder,
    limits: &'a ExtractLimits,
    /// The container, for embedded objects. An object has no objects of its own.
    archive: Option<&'a mut Archive>,
    /// The folders of embedded objects of the open page or text.
    objects: Vec<String>,
    page: u32,
    /// The open paragraphs: a frame puts paragraphs into a paragraph.
    blocks: Vec<Block>,
    lists: usize,
    numbering: Numbering,
    is_first_in_item: bool,
    /// The number of the open item.
    marker: Option<String>,
    table: Option<(TableRows, usize)>,
    cell: String,
    /// Columns, rows, and times that the open cell stands for.
    spans: (usize, usize, usize),
    /// The open note, comment, or notes of a slide.
    note: Option<(String, usize)>,
    /// Within the class of a placeholder of a slide.
    class: String,
    in_title: bool,
    /// Reading styles: only heads and feet of pages have text.
    is_styles: bool,
    /// Reading an embedded object, whose pages are none of the file.
    is_object: bool,
    in_head: bool,
    reading: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(builder: &'a mut DocumentBuilder, limits: &'a ExtractLimits) -> Self {
        Self {
            builder,
            limits,
            archive: None,
            objects: Vec::new(),
            page: 0,
            blocks: Vec::new(),
            lists: 0,
            numbering: Numbering::default(),
            is_first_in_item: false,
            marker: None,
            table: None,
            cell: String::new(),
            spans: (1, 1, 1),
            note: None,
            class: String::new(),
            in_title: false,
            is_styles: false,
            is_object: false,
            in_head: false,
            reading: None,
        }
    }

    /// Reads the content. Where it ends too early, what is open is text, too.
    fn body(&mut self, xml: &str) -> Result<(), FileError> {
        let read = self.part(xml).and_then(|()| check_end(xml));
        if read.is_err() {
            while let Some(block) = self.blocks.pop() {
                self.add(block)?;
            }
            if let Some((mut rows, _)) = self.table.take() {
                rows.cell(&std::mem::take(&mut self.cell));
                self.builder.table(&mut rows)?;
            }
        }
        self.add_objects()?;
        read
    }

    /// Adds the texts of the embedded charts, tables and texts.
    fn add_objects(&mut self) -> Result<(), FileError> {
        for folder in std::mem::take(&mut self.objects) {
            match self.add_object(&folder) {
                Err(failure) if failure.kind == FileErrorKind::Corrupt => {
                    self.builder.warn("An embedded object was not read.".to_owned());
                }
                added => added?,
            }
        }
        Ok(())
    }

    fn add_object(&mut self, folder: &str) -> Result<(), FileError> {
        let Some(archive) = &mut self.archive else { return Ok(()) };
        let Some(xml) = archive.text(&format!("{folder}/content.xml"))? else { return Ok(()) };
        if xml.contains("<office:chart") {
            return self.builder.push(ElementKind::Aside, &texts(&xml, &["p"])?.join(" "));
        }
        let mut walk = Walk::new(self.builder, self.limits);
        walk.is_object = true;
        walk.part(&xml)
    }

    fn push_str(&mut self, text: &str) {
        if let Some(block) = self.blocks.last_mut() {
            block.text.push_str(text);
        }
    }

    fn add(&mut self, block: Block) -> Result<(), FileError> {
        let text = block.text;
        if self.is_styles {
            return if self.in_head { self.builder.aside(&text) } else { Ok(()) };
        }
        if let Some((note, _)) = &mut self.note {
            note.push_str(text.trim());
            note.push('\n');
            return Ok(());
        }
        if self.table.is_some() {
            self.cell.push(' ');
            self.cell.push_str(&text);
            return Ok(());
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        if let Some(level) = block.heading {
            let of_list = self.marker.take().filter(|_| block.in_list);
            let number = of_list.or_else(|| self.numbering.heading(level));
            let number = number.map(|number| format!("{number} ")).unwrap_or_default();
            return self.builder.push(ElementKind::Heading { level }, &format!("{number}{}", text.trim()));
        }
        if block.in_list && std::mem::take(&mut self.is_first_in_item) {
            let indent = "  ".repeat(self.lists.saturating_sub(1).min(8));
            let marker = self.marker.take().unwrap_or_else(|| "-".to_owned());
            return self.builder.push(ElementKind::ListItem, &format!("{indent}{marker} {}", text.trim()));
        }
        if std::mem::take(&mut self.in_title) {
            self.builder.title(&text);
            return self.builder.push(ElementKind::Title, &text);
        }
        self.builder.push(ElementKind::Paragraph, &text)
    }
}

impl ElementReader for Walk<'_> {
    /// Deleted text, and what only programs read.
    const SKIPPED: &'static [&'static str] =
        &["tracked-changes", "scripts", "font-face-decls", "forms", "index-title-template", "note-citation"];

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), FileError> {
        let name = tag.local_name();
        match name.as_ref() {
            "page" if self.blocks.is_empty() && !self.is_styles && !self.is_object => {
                self.page += 1;
                if self.page > self.limits.max_pages {
                    return Err(too_many_pages());
                }
                self.builder.page(self.page);
            }
            "object" if self.archive.is_some() => {
                let folder = attribute(tag, "href").unwrap_or_default();
                self.objects.push(folder.trim_start_matches("./").to_owned());
            }
            "frame" => self.class = attribute(tag, "class").unwrap_or_default(),
            "h" | "p" => {
                let heading = (name.as_ref() == "h").then(|| {
                    attribute(tag, "outline-level").and_then(|level| level.parse().ok()).unwrap_or(1_u8).clamp(1, 6)
                });
                let heading = heading.or((self.class == "title").then_some(1));
                let style = attribute(tag, "style-name").unwrap_or_default();
                self.in_title = style == "Title";
                self.blocks.push(Block { text: String::new(), heading, in_list: self.lists > 0 });
            }
            "list" => {
                self.lists += 1;
                self.numbering.open(tag);
            }
            "list-item" => {
                self.is_first_in_item = true;
                self.marker = self.numbering.item(tag);
            }
            "list-header" => (self.is_first_in_item, self.marker) = (true, None),
            "header" | "footer" | "header-left" | "footer-left" | "header-first" | "footer-first" => {
                self.in_head = true
            }
            "s" => self.push_str(&" ".repeat(number(tag, "c").unwrap_or(1).clamp(1, 100))),
            "tab" => self.push_str("\t"),
            "line-break" => self.push_str("\n"),
            "ruby-text" => self.reading = Some(String::new()),
            "note-body" | "annotation" | "notes" => match &mut self.note {
                Some((_, depth)) => *depth += 1,
                None => self.note = Some((String::new(), 1)),
            },
            "table" => self.table.get_or_insert_with(Default::default).1 += 1,
            "table-row" => {
                if let Some((rows, 1)) = &mut self.table {
                    rows.row();
                }
            }
            "table-cell" | "covered-table-cell" if matches!(self.table, Some((_, 1))) => {
                self.cell.clear();
                let value = |name| number(tag, name).unwrap_or(1);
                self.spans = (
                    value("number-columns-spanned"),
                    value("number-rows-spanned"),
                    value("number-columns-repeated").min(MAX_REPEATED),
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "h" | "p" => {
                if let Some(block) = self.blocks.pop() {
                    self.add(block)?;
                }
            }
            "list" => {
                self.lists = self.lists.saturating_sub(1);
                self.numbering.close();
            }
            "page" => self.add_objects()?,
            "frame" => self.class.clear(),
            "header" | "footer" | "header-left" | "footer-left" | "header-first" | "footer-first" => {
                self.in_head = false
            }
            "ruby-text" => {
                if let Some(reading) = self.reading.take() {
                    self.builder.aside(&reading)?;
                }
            }
            "note-body" | "annotation" | "notes" => {
                if let Some((_, depth)) = &mut self.note {
                    *depth -= 1;
                    if *depth == 0 {
                        let (note, _) = self.note.take().unwrap_or_default();
                        self.builder.aside(&note)?;
                    }
                }
            }
            "table-cell" => {
                if let Some((rows, 1)) = &mut self.table {
                    let (columns, below, repeated) = self.spans;
                    // An empty cell repeated to the edge of the sheet.
                    let repeated = if self.cell.trim().is_empty() { repeated.min(1) } else { repeated };
                    for _ in 0..repeated {
                        rows.spanning_cell(&self.cell, columns, below);
                    }
                }
            }
            "table" => match self.table.take() {
                Some((mut rows, 1)) => self.builder.table(&mut rows)?,
                Some((rows, depth)) => self.table = Some((rows, depth - 1)),
                None => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn content(&mut self, event: &Event<'_>) {
        if let Some(reading) = &mut self.reading {
            append_text(reading, event);
        } else if let Some(block) = self.blocks.last_mut() {
            let from = block.text.len();
            append_text(&mut block.text, event);
            // White space in the markup is a single space; `text:s` has more.
            let words = block.text[from..].replace(['\n', '\t', '\r'], " ");
            block.text.truncate(from);
            block.text.push_str(&words);
        }
    }
}
