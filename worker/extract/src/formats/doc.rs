//! Texts of Word before 2007 (MS-DOC): paragraphs with their headings and tables. Notes, heads, feet, comments and text boxes stand
//! beside the body.

use std::io::{Read, Seek};

use cfb::CompoundFile;
use encoding_rs::{UTF_16LE, WINDOWS_1252};

use super::builder::DocumentBuilder;
use super::doc_encodings::{self, UpperHalf, upper_half};
use super::doc_paragraphs::{Paragraphs, Properties};
use super::failures::unreadable;
use super::rows::TableRows;
use super::summary;
use crate::{ElementKind, FileError, FileErrorKind, MediaType};

/// Most bytes of a stream.
const MAX_STREAM_BYTES: u64 = 256 << 20;
/// What the main stream begins with: that of Word 97 and later, and those of Word 6 and 95.
const MARKS: [u16; 3] = [0xA5EC, 0xA5DC, 0xA5DB];
/// The format of Word 97; earlier ones have no table of pieces.
const WORD_97: u16 = 193;
/// Flags of the header.
const ENCRYPTED: u16 = 0x0100;
const SECOND_TABLE: u16 = 0x0200;

/// Places in the header: the numbers of characters of the main text and of what stands beside it, and of tables of the file.
const MAIN_TEXT: usize = 0x4C;
/// Notes, heads and feet, macros, comments, end notes, text boxes, and those of heads.
const BESIDE: [usize; 7] = [0x50, 0x54, 0x58, 0x5C, 0x60, 0x64, 0x68];
const PIECES: usize = 0x1A2;
/// The text of earlier formats: its place, and its characters.
const OLD_TEXT: usize = 0x18;
const OLD_MAIN_TEXT: usize = 0x34;

/// Reads a text.
pub(super) fn read<F: Read + Seek>(
    container: &mut CompoundFile<F>,
    builder: &mut DocumentBuilder,
) -> Result<(), FileError> {
    builder.media_type(MediaType::Doc);
    builder.if_empty("The document has no text.");
    summary::add(container, builder);
    let main = stream(container, "/WordDocument")?;
    if !number16(&main, 0).is_some_and(|mark| MARKS.contains(&mark)) {
        return Err(damaged());
    }
    let flags = number16(&main, 0x0A).ok_or_else(damaged)?;
    if flags & ENCRYPTED != 0 {
        return Err(FileError::new(FileErrorKind::Encrypted, "The document is protected by a password."));
    }
    if number16(&main, 2).is_some_and(|version| version < WORD_97) {
        return read_old(&main, builder);
    }
    let table = stream(container, if flags & SECOND_TABLE == 0 { "/0Table" } else { "/1Table" })?;
    let pieces = pieces(&main, &table)?;
    let paragraphs = Paragraphs::read(&main, &table);
    let characters = |at: usize| number32(&main, at).unwrap_or(0) as usize;
    let text = text(&main, &pieces);
    let mut from = characters(MAIN_TEXT).min(text.len());
    Body::new(builder, &paragraphs).add(&text[..from])?;
    for at in BESIDE {
        let to = from.saturating_add(characters(at)).min(text.len());
        aside(builder, &text[from..to])?;
        from = to;
    }
    Ok(())
}

/// Reads a text of before Word 97, which stands in one place.
fn read_old(main: &[u8], builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let start = number32(main, OLD_TEXT).ok_or_else(damaged)? as usize;
    let length = number32(main, OLD_MAIN_TEXT).ok_or_else(damaged)? as usize;
    let bytes = main.get(start..start.saturating_add(length).min(main.len())).ok_or_else(damaged)?;
    let upper = upper_half(doc_encodings::encoding(main, bytes));
    let text: Vec<Character> = letters(bytes, start, 1, &upper).collect();
    Body::new(builder, &Paragraphs::default()).add(&text)
}

fn damaged() -> FileError {
    FileError::new(FileErrorKind::Corrupt, "The document is cut short or damaged.")
}

pub(super) fn stream<F: Read + Seek>(container: &mut CompoundFile<F>, name: &str) -> Result<Vec<u8>, FileError> {
    let stream = container.open_stream(name).map_err(|_| damaged())?;
    let mut bytes = Vec::new();
    stream.take(MAX_STREAM_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The bytes that a place of the header points to in a table.
pub(super) fn part<'a>(main: &[u8], table: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let (start, length) = (number32(main, at)? as usize, number32(main, at + 4)? as usize);
    table.get(start..start.checked_add(length)?)
}

/// A stretch of the text.
struct Piece {
    characters: usize,
    /// Its place in the main stream.
    start: usize,
    /// Bytes of a character: 1 in code page 1252, or 2 in UTF-16.
    width: usize,
}

fn pieces(main: &[u8], table: &[u8]) -> Result<Vec<Piece>, FileError> {
    let mut rest = part(main, table, PIECES).ok_or_else(damaged)?;
    // Properties of pieces come before the table of pieces.
    while rest.first() == Some(&1) {
        let length = usize::from(number16(rest, 1).ok_or_else(damaged)?);
        rest = rest.get(3 + length..).ok_or_else(damaged)?;
    }
    if rest.first() != Some(&2) {
        return Err(damaged());
    }
    let plex = rest.get(5..).ok_or_else(damaged)?;
    let count = plex.len().saturating_sub(4) / 12;
    let mut pieces = Vec::with_capacity(count);
    for n in 0..count {
        let ends = number32(plex, n * 4).zip(number32(plex, n * 4 + 4));
        let place = number32(plex, (count + 1) * 4 + n * 8 + 2).ok_or_else(damaged)?;
        let (from, to) = ends.ok_or_else(damaged)?;
        let characters = to.checked_sub(from).ok_or_else(damaged)? as usize;
        let is_narrow = place & 0x4000_0000 != 0;
        let start = (place & 0x3FFF_FFFF) as usize;
        pieces.push(match is_narrow {
            true => Piece { characters, start: start / 2, width: 1 },
            false => Piece { characters, start, width: 2 },
        });
    }
    Ok(pieces)
}

/// A character and its place in the main stream, by which its paragraph's properties are found.
#[derive(Clone, Copy)]
struct Character {
    unit: u16,
    place: usize,
}

fn letters<'a>(
    bytes: &'a [u8],
    start: usize,
    width: usize,
    upper: &'a UpperHalf,
) -> impl Iterator<Item = Character> + 'a {
    bytes.chunks_exact(width).enumerate().map(move |(n, bytes)| {
        let unit = match bytes {
            [low, high] => u16::from_le_bytes([*low, *high]),
            [byte @ 0x80..=0xFF] => upper[usize::from(*byte) - 0x80],
            bytes => u16::from(bytes[0]),
        };
        Character { unit, place: start + n * width }
    })
}

/// The text of all pieces as far as they are there.
fn text(main: &[u8], pieces: &[Piece]) -> Vec<Character> {
    let upper = upper_half(WINDOWS_1252);
    let mut text = Vec::new();
    for piece in pieces {
        let end = piece.characters.saturating_mul(piece.width).saturating_add(piece.start).min(main.len());
        let bytes = main.get(piece.start..end).unwrap_or_default();
        text.extend(letters(bytes, piece.start, piece.width, &upper));
    }
    text
}

/// What a character is, if it is no letter. A note and a comment begin with their marks.
const NOTE: u16 = 0x02;
const COMMENT: u16 = 0x05;
const CELL_END: u16 = 0x07;
const LINE_BREAK: u16 = 0x0B;
const PAGE_BREAK: u16 = 0x0C;
const PARAGRAPH_END: u16 = 0x0D;
const FIELD_BEGIN: u16 = 0x13;
const FIELD_SEPARATOR: u16 = 0x14;
const FIELD_END: u16 = 0x15;
const HARD_HYPHEN: u16 = 0x1E;

/// The letters of a text: results of fields without their instructions, and no pictures and marks of notes.
#[derive(Default)]
struct Letters {
    units: Vec<u16>,
    /// The open fields: whether each is at its instruction.
    fields: Vec<bool>,
}

impl Letters {
    fn add(&mut self, unit: u16) {
        match unit {
            FIELD_BEGIN => self.fields.push(true),
            FIELD_SEPARATOR => {
                if let Some(field) = self.fields.last_mut() {
                    *field = false;
                }
            }
            FIELD_END => {
                self.fields.pop();
            }
            _ if self.fields.contains(&true) => {}
            LINE_BREAK => self.units.push(u16::from(b'\n')),
            HARD_HYPHEN => self.units.push(u16::from(b'-')),
            0x09 | 0x20.. => self.units.push(unit),
            _ => {}
        }
    }

    fn take(&mut self) -> String {
        let bytes: Vec<u8> = std::mem::take(&mut self.units).into_iter().flat_map(u16::to_le_bytes).collect();
        UTF_16LE.decode_without_bom_handling(&bytes).0.into_owned()
    }
}

/// The main text on its way into a document.
struct Body<'a> {
    builder: &'a mut DocumentBuilder,
    paragraphs: &'a Paragraphs,
    table: Option<TableRows>,
    /// Whether the next cell begins a row.
    is_row_start: bool,
    cell: String,
}

impl<'a> Body<'a> {
    fn new(builder: &'a mut DocumentBuilder, paragraphs: &'a Paragraphs) -> Self {
        Self { builder, paragraphs, table: None, is_row_start: true, cell: String::new() }
    }

    fn add(mut self, text: &[Character]) -> Result<(), FileError> {
        let mut letters = Letters::default();
        for (number, character) in text.iter().enumerate() {
            if !matches!(character.unit, PARAGRAPH_END | CELL_END | PAGE_BREAK) {
                letters.add(character.unit);
                continue;
            }
            let properties = self.paragraphs.at(character.place);
            let content = letters.take();
            match character.unit {
                CELL_END => {
                    // Without properties, the end of a row is an empty cell behind the last one.
                    let before = number.checked_sub(1).map(|before| text[before].unit);
                    let ends_row = match properties {
                        Some(properties) => properties.ends_row,
                        None => before == Some(CELL_END),
                    };
                    self.cell_end(&content, ends_row);
                }
                _ => self.paragraph(&content, properties.unwrap_or_default())?,
            }
        }
        let rest = letters.take();
        self.paragraph(&rest, Properties::default())
    }

    fn cell_end(&mut self, content: &str, ends_row: bool) {
        if ends_row {
            self.is_row_start = true;
            return;
        }
        let table = self.table.get_or_insert_default();
        if std::mem::take(&mut self.is_row_start) {
            table.row();
        }
        self.cell.push_str(content);
        table.cell(&std::mem::take(&mut self.cell));
    }

    fn paragraph(&mut self, content: &str, properties: Properties) -> Result<(), FileError> {
        if properties.in_table && (self.table.is_some() || !content.trim().is_empty()) {
            self.cell.push_str(content);
            self.cell.push(' ');
            return Ok(());
        }
        if let Some(mut table) = self.table.take() {
            self.is_row_start = true;
            self.builder.table(&mut table)?;
        }
        let left = std::mem::take(&mut self.cell);
        self.builder.push(ElementKind::Paragraph, &left)?;
        let kind = match properties.heading {
            Some(0) => ElementKind::Title,
            Some(level) => ElementKind::Heading { level: level.min(6) },
            None if properties.in_list && !content.trim().is_empty() => {
                return self.builder.push(ElementKind::ListItem, &format!("- {}", content.trim()));
            }
            None => ElementKind::Paragraph,
        };
        if kind == ElementKind::Title {
            self.builder.title(content);
        }
        self.builder.push(kind, content)
    }
}

/// Adds what stands beside the body: a text for each note, and for what stands between blank paragraphs.
fn aside(builder: &mut DocumentBuilder, text: &[Character]) -> Result<(), FileError> {
    let mut letters = Letters::default();
    let mut note = String::new();
    for character in text {
        match character.unit {
            NOTE | COMMENT => builder.aside(&std::mem::take(&mut note))?,
            PARAGRAPH_END | CELL_END | PAGE_BREAK => {
                let paragraph = letters.take();
                note.push_str(paragraph.trim());
                note.push('\n');
                if paragraph.trim().is_empty() {
                    builder.aside(&std::mem::take(&mut note))?;
                }
            }
            unit => letters.add(unit),
        }
    }
    note.push_str(&letters.take());
    builder.aside(&note)
}
