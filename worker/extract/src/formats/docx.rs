//! Word documents: the body's paragraphs and tables in order. What stands beside it follows at the end: heads and feet of pages,
//! notes, comments, charts, embedded pages.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::archive::Archive;
use super::builder::DocumentBuilder;
use super::charts;
use super::docx_alternatives;
use super::docx_numbering::Numbering;
use super::docx_styles::{Styles, outline_level};
use super::markup::{append_text, attribute, check_end, first_text, malformed, number};
use super::rows::TableRows;
use super::symbols;
use crate::{ElementKind, ExtractLimits, FileError, MediaType};

/// Reads a Word document by the name of its main part.
pub(super) fn read(
    archive: &mut Archive,
    main: &str,
    limits: &ExtractLimits,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    read_parts(archive, main, builder)?;
    for part in archive.relationships(main)?.into_iter().filter(|part| part.kind == "aFChunk") {
        let Some(bytes) = archive.bytes(&part.target)? else { continue };
        match docx_alternatives::text(bytes, &part.target, limits) {
            Ok(text) => builder.aside(&text)?,
            Err(_) => builder.warn("An embedded document was not read.".to_owned()),
        }
    }
    Ok(())
}

/// Reads a Word document without its parts in other formats.
pub(super) fn read_parts(archive: &mut Archive, main: &str, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    builder.media_type(MediaType::Docx);
    builder.if_empty("The document has no text.");
    let related = archive.relationships(main)?;
    let part = |kind: &str| -> Vec<String> {
        related.iter().filter(|part| part.kind == kind).map(|part| part.target.clone()).collect()
    };
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    // A document that names no parts has them in their usual places.
    let usual = |kind: &str, name: &str| part(kind).into_iter().next().unwrap_or_else(|| format!("{folder}/{name}"));
    let body = archive.text(main)?.unwrap_or_default();
    let styles = match archive.text(&usual("styles", "styles.xml"))? {
        Some(xml) => Styles::read(&xml).map_err(malformed)?,
        None => Styles::default(),
    };
    let numbering = match archive.text(&usual("numbering", "numbering.xml"))? {
        Some(xml) => Numbering::read(&xml).map_err(malformed)?,
        None => Numbering::default(),
    };
    if let Some(properties) = archive.text("docProps/core.xml")? {
        builder.title(&first_text(&properties, "title")?);
        builder.property("author", &first_text(&properties, "creator")?);
    }
    let mut walk = Walk::new(builder, &styles, numbering, false);
    walk.body(&body)?;
    drop(body);
    let numbering = std::mem::take(&mut walk.numbering);
    let mut walk = Walk::new(builder, &styles, numbering, true);
    for kind in ["header", "footer"] {
        for name in part(kind) {
            if let Some(xml) = archive.text(&name)? {
                walk.part(&xml)?;
            }
        }
    }
    for (kind, name) in [("footnotes", "footnotes.xml"), ("endnotes", "endnotes.xml"), ("comments", "comments.xml")] {
        if let Some(xml) = archive.text(&usual(kind, name))? {
            walk.part(&xml)?;
        }
    }
    for kind in ["chart", "diagramData"] {
        for name in part(kind) {
            if let Some(xml) = archive.text(&name)? {
                builder.aside(&charts::words(&xml)?)?;
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Paragraph {
    text: String,
    element_kind: Option<ElementKind>,
    style: Option<String>,
    /// The list and level that number it, if it says so itself.
    list: Option<String>,
    level: Option<usize>,
    is_item: bool,
    /// Within the paragraph's properties, where `w:tab` is a tab stop and not a tab.
    in_properties: bool,
}

/// The properties of a cell.
#[derive(Default)]
struct Cell {
    text: String,
    columns: usize,
    continues: bool,
}

/// A formula's part that is written between signs.
struct Formula {
    name: &'static str,
    start: usize,
    open: String,
    close: String,
}

struct Walk<'a> {
    builder: &'a mut DocumentBuilder,
    styles: &'a Styles,
    numbering: Numbering,
    /// Whether all text stands beside the body.
    is_aside: bool,
    /// The open paragraphs: a text box puts paragraphs into a paragraph.
    paragraphs: Vec<Paragraph>,
    /// The outermost open table and the nesting depth; an inner table is part of its cell's text.
    table: Option<(TableRows, usize)>,
    cell: Cell,
    in_text: bool,
    in_run_properties: bool,
    is_hidden: bool,
    font: String,
    /// The open reading of a word in another script.
    reading: Option<String>,
    formulas: Vec<Formula>,
    /// One more than the elements of the open row of a matrix; 0 before its first row.
    row_elements: Option<usize>,
    /// The text of an open note or comment.
    note: Option<String>,
}

impl<'a> Walk<'a> {
    fn new(builder: &'a mut DocumentBuilder, styles: &'a Styles, numbering: Numbering, is_aside: bool) -> Self {
        Self {
            builder,
            styles,
            numbering,
            is_aside,
            paragraphs: Vec::new(),
            table: None,
            cell: Cell::default(),
            in_text: false,
            in_run_properties: false,
            is_hidden: false,
            font: String::new(),
            reading: None,
            formulas: Vec::new(),
            row_elements: None,
            note: None,
        }
    }

    /// Reads the main part. Where it ends too early, what is open is text, too.
    fn body(&mut self, xml: &str) -> Result<(), FileError> {
        let read = self.part(xml).and_then(|()| check_end(xml));
        if read.is_err() {
            while let Some(paragraph) = self.paragraphs.pop() {
                self.add(paragraph)?;
            }
            if let Some((mut rows, _)) = self.table.take() {
                let cell = std::mem::take(&mut self.cell);
                rows.spanning_cell(&cell.text, 1, 1);
                self.builder.table(&mut rows)?;
            }
        }
        read
    }

    fn part(&mut self, xml: &str) -> Result<(), FileError> {
        if self.is_aside {
            self.note = Some(String::new());
        }
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().map_err(malformed)? {
                // The fallback of a drawing, the origin of a moved passage, and properties before a tracked change would repeat or
                // restore text.
                Event::Start(tag)
                    if matches!(tag.local_name().as_ref(), "Fallback" | "moveFrom" | "pPrChange" | "rPrChange") =>
                {
                    reader.read_to_end(tag.name()).map_err(malformed)?;
                }
                Event::Start(tag) => self.start(&tag),
                Event::Empty(tag) => {
                    self.start(&tag);
                    self.end(tag.local_name().as_ref())?;
                }
                Event::End(tag) => self.end(tag.local_name().as_ref())?,
                Event::Eof => break,
                event if self.in_text && !self.is_hidden => {
                    if let Some(reading) = &mut self.reading {
                        append_text(reading, &event);
                    } else if let Some(paragraph) = self.paragraphs.last_mut() {
                        let from = paragraph.text.len();
                        append_text(&mut paragraph.text, &event);
                        symbols::replace_private(&self.font, &mut paragraph.text, from);
                    }
                }
                _ => {}
            }
        }
        self.end_note()
    }

    fn end_note(&mut self) -> Result<(), FileError> {
        match self.note.as_mut().map(std::mem::take) {
            Some(note) => self.builder.aside(&note),
            None => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.table.get_or_insert_with(Default::default).1 += 1,
            "tr" => {
                if let Some((rows, 1)) = &mut self.table {
                    rows.row();
                }
            }
            "gridBefore" => {
                if let Some((rows, 1)) = &mut self.table {
                    rows.skip(number(tag, "val").unwrap_or(0));
                }
            }
            "tc" if self.is_outer() => self.cell = Cell { columns: 1, ..Cell::default() },
            "gridSpan" if self.is_outer() => self.cell.columns = number(tag, "val").unwrap_or(1),
            "vMerge" if self.is_outer() => {
                self.cell.continues = attribute(tag, "val").is_none_or(|value| value == "continue");
            }
            "t" => self.in_text = true,
            "rt" => self.reading = Some(String::new()),
            "comment" => {
                if let (Some(note), Some(author)) = (&mut self.note, attribute(tag, "author")) {
                    note.push_str(&format!("{author}: "));
                }
            }
            name => self.start_in_paragraph(name, tag),
        }
    }

    fn is_outer(&self) -> bool {
        matches!(self.table, Some((_, 1)))
    }

    fn start_in_paragraph(&mut self, name: &str, tag: &BytesStart<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match name {
            "pPr" => paragraph.in_properties = true,
            "pStyle" => {
                let style = attribute(tag, "val").unwrap_or_default();
                paragraph.element_kind = self.styles.element_kind(&style).or(paragraph.element_kind);
                paragraph.style = Some(style);
            }
            "numPr" => paragraph.is_item = true,
            "numId" => paragraph.list = attribute(tag, "val"),
            "ilvl" => paragraph.level = number(tag, "val"),
            "outlineLvl" => paragraph.element_kind = paragraph.element_kind.or(outline_level(tag)),
            "r" => {
                self.is_hidden = false;
                self.font.clear();
            }
            "rPr" => self.in_run_properties = true,
            "rFonts" if !paragraph.in_properties => self.font = attribute(tag, "ascii").unwrap_or_default(),
            "vanish" if self.in_run_properties && !paragraph.in_properties => {
                self.is_hidden = attribute(tag, "val").is_none_or(|value| value != "0" && value != "false");
            }
            "tab" | "ptab" if !paragraph.in_properties => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            "sym" => {
                let code = attribute(tag, "char").and_then(|code| u32::from_str_radix(&code, 16).ok());
                let font = attribute(tag, "font").unwrap_or_default();
                paragraph.text.extend(code.and_then(|code| symbols::symbol(&font, code)));
            }
            "docPr" => {
                if let Some(words) = attribute(tag, "descr").filter(|words| !words.trim().is_empty()) {
                    paragraph.text.push_str(&format!(" {words} "));
                }
            }
            "num" | "sup" | "sub" | "den" | "deg" => {
                let name = match name {
                    "num" => "num",
                    "sup" => "sup",
                    "sub" => "sub",
                    "deg" => "deg",
                    _ => "den",
                };
                let sign = match name {
                    "sup" => "^",
                    "sub" => "_",
                    "den" => "/",
                    _ => "",
                };
                paragraph.text.push_str(sign);
                let (open, close) = ("(".to_owned(), ")".to_owned());
                self.formulas.push(Formula { name, start: paragraph.text.len(), open, close });
            }
            "rad" => paragraph.text.push('√'),
            "nary" => {
                let (open, close) = ("∫".to_owned(), String::new());
                self.formulas.push(Formula { name: "nary", start: paragraph.text.len(), open, close });
            }
            "d" => {
                let (open, close) = ("(".to_owned(), ")".to_owned());
                self.formulas.push(Formula { name: "d", start: paragraph.text.len(), open, close });
            }
            "begChr" | "endChr" | "chr" => {
                let sign = attribute(tag, "val").unwrap_or_default();
                if let Some(formula) = self.formulas.last_mut() {
                    match name {
                        "endChr" => formula.close = sign,
                        _ => formula.open = sign,
                    }
                }
            }
            "m" => self.row_elements = Some(0),
            "mr" => {
                let is_first = self.row_elements == Some(0);
                paragraph.text.push_str(if is_first { "" } else { "; " });
                self.row_elements = Some(1);
            }
            "e" => {
                if let Some(count @ 1..) = &mut self.row_elements {
                    paragraph.text.push_str(if *count > 1 { " " } else { "" });
                    *count += 1;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "t" => self.in_text = false,
            "rPr" => self.in_run_properties = false,
            "r" => self.is_hidden = false,
            "rt" => {
                if let Some(reading) = self.reading.take() {
                    self.builder.aside(&reading)?;
                }
            }
            "pPr" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.in_properties = false;
                }
            }
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.formulas.clear();
                    self.add(paragraph)?;
                }
            }
            "tc" => {
                if let Some((rows, 1)) = &mut self.table {
                    let cell = std::mem::take(&mut self.cell);
                    match cell.continues && cell.text.trim().is_empty() {
                        true => rows.continued(cell.columns),
                        false => rows.spanning_cell(&cell.text, cell.columns, 1),
                    }
                }
            }
            "tbl" => match self.table.take() {
                Some((mut rows, 1)) if self.note.is_some() => {
                    let text = rows.text();
                    self.note.get_or_insert_default().push_str(&format!("{text}\n"));
                }
                Some((mut rows, 1)) => self.builder.table(&mut rows)?,
                Some((rows, depth)) => self.table = Some((rows, depth - 1)),
                None => {}
            },
            "footnote" | "endnote" | "comment" => self.end_note()?,
            "m" => self.row_elements = None,
            "num" | "sup" | "sub" | "den" | "deg" | "d" | "nary" => self.end_formula(name),
            _ => {}
        }
        Ok(())
    }

    /// Puts a part of a formula between its signs. A single word needs none in a fraction or a power.
    fn end_formula(&mut self, name: &str) {
        let Some(place) = self.formulas.iter().rposition(|formula| formula.name == name) else { return };
        let Some(formula) = self.formulas.drain(place..).next() else { return };
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        let Some(text) = paragraph.text.get(formula.start..) else { return };
        let is_word = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | ',' | '\''));
        if matches!(name, "d" | "nary") || !is_word {
            paragraph.text.insert_str(formula.start, &formula.open);
            paragraph.text.push_str(&formula.close);
        }
    }

    fn add(&mut self, paragraph: Paragraph) -> Result<(), FileError> {
        let number = self.number(&paragraph);
        let text = paragraph.text.trim();
        let is_item = paragraph.is_item && paragraph.list.as_deref() != Some("0");
        let kind = paragraph.element_kind.or(is_item.then_some(ElementKind::ListItem));
        let text = match (&number, kind) {
            _ if text.is_empty() => String::new(),
            (Some(number), _) => format!("{number} {text}"),
            (None, Some(ElementKind::ListItem)) => format!("- {text}"),
            (None, _) => paragraph.text.clone(),
        };
        if self.table.is_some() {
            self.cell.text.push(' ');
            self.cell.text.push_str(&text);
            return Ok(());
        }
        if let Some(note) = &mut self.note {
            note.push_str(&text);
            note.push('\n');
            return Ok(());
        }
        if kind == Some(ElementKind::Title) {
            self.builder.title(&text);
        }
        self.builder.push(kind.unwrap_or(ElementKind::Paragraph), &text)
    }

    /// The automatic number of a paragraph.
    fn number(&mut self, paragraph: &Paragraph) -> Option<String> {
        if paragraph.text.trim().is_empty() {
            return None;
        }
        let by_style = paragraph.style.as_deref().and_then(|style| self.styles.list(style));
        let list = paragraph.list.as_deref().or(by_style.map(|(list, ..)| list))?;
        let by_list = || by_style.and_then(|(_, style, _)| self.numbering.level_of_style(list, style));
        let level = paragraph.level.or_else(by_list).or(by_style.and_then(|(.., level)| level)).unwrap_or(0);
        self.numbering.next(list, level)
    }
}
