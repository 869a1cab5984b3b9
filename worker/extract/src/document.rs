//! The result of extraction: a text and its structure.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{FileError, MediaType};

/// A file's content as text, with its structure as byte ranges of that text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The whole text. That of a UTF-8 text file equals the file, byte for byte.
    pub text: String,
    /// Structure in reading order; ranges do not overlap.
    pub elements: Vec<Element>,
    /// Where the recognised lines of text stand on their pages, in the order of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<TextBox>,
    /// Number of pages, if the format has pages.
    pub page_count: Option<u32>,
    /// The title that the file declares.
    pub title: Option<String>,
    /// The media type, where the content tells more than its first bytes.
    #[serde(default)]
    pub media_type: Option<MediaType>,
    /// What the file says about itself, such as the headers of a mail or the language of source code.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// The gaps of the text, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why the rest of the file was not read, if a part of it was enough.
    #[serde(default)]
    pub failure: Option<FileError>,
}

/// A piece of structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// What it is.
    pub kind: ElementKind,
    /// First byte in the document's text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The page, slide, sheet or message it begins on, counted from 1.
    pub page: Option<u32>,
    /// The words of a heading, if the text also has markup.
    #[serde(default)]
    pub label: Option<String>,
    /// Where in the file it is, in the file's own terms: the cells of a sheet.
    #[serde(default)]
    pub place: Option<String>,
    /// How the records of a table are distinguished.
    #[serde(default)]
    pub records: Option<Records>,
}

impl Element {
    /// An element without further details.
    #[must_use]
    pub const fn new(kind: ElementKind, bytes: Range<usize>, page: Option<u32>) -> Self {
        Self { kind, start: bytes.start, end: bytes.end, page, label: None, place: None, records: None }
    }
}

/// The place of a recognised line of text, or of the part of it in a column: a range of bytes, and a box on the page.
///
/// The sides of the box are shares of the width and the height of the page or picture as it is shown, from 0 to 1, counted from
/// its upper left corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextBox {
    /// First byte in the document's text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The page, counted from 1.
    pub page: Option<u32>,
    /// The left side.
    pub left: f64,
    /// The upper side.
    pub top: f64,
    /// The right side.
    pub right: f64,
    /// The lower side.
    pub bottom: f64,
    /// The mean probability of the letters, from 0 to 1.
    pub confidence: f64,
}

/// How the records of a table are distinguished: each is a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Bytes of the first record, if it names the columns; 0 otherwise.
    pub header_bytes: usize,
    /// Whether line ends within quotation marks belong to their record.
    pub is_quoted: bool,
}

impl Element {
    /// The byte ranges of the records of a table in the document's text, without their line ends. The first is the header,
    /// if there is one.
    pub fn records<'a>(&self, text: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let is_quoted = self.records.is_some_and(|records| records.is_quoted);
        let (mut from, end) = (self.start, self.end);
        std::iter::from_fn(move || {
            if from >= end {
                return None;
            }
            let to = from + record_bytes(&text[from..end], is_quoted);
            let record = from..from + text[from..to].trim_end_matches(['\r', '\n']).len();
            from = to;
            Some(record)
        })
    }
}

/// Bytes of the first record with its line end. A quotation mark quotes nothing if it is never closed, or within a field (`5" pipe`).
pub(crate) fn record_bytes(text: &str, is_quoted: bool) -> usize {
    let first_line = || text.find('\n').map_or(text.len(), |place| place + 1);
    if !is_quoted {
        return first_line();
    }
    // Whether a mark would begin a field here, or stand for a letter of the field that a mark has just closed.
    let (mut in_quotes, mut is_at_start, mut has_closed) = (false, true, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if in_quotes => (in_quotes, has_closed) = (false, true),
            b'"' if is_at_start || has_closed => (in_quotes, has_closed) = (true, false),
            b'\n' if !in_quotes => return place + 1,
            // A record of so many bytes has a stray quotation mark.
            _ if place > MAX_RECORD_BYTES => return first_line(),
            _ => has_closed = false,
        }
        is_at_start = matches!(byte, b',' | b';' | b'\t' | b'|') || (is_at_start && byte == b' ');
    }
    if in_quotes { first_line() } else { text.len() }
}

/// Longest record with line ends in quotation marks.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// What a piece of structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementKind {
    /// The document's title.
    Title,
    /// A heading; level 1 is the topmost.
    Heading {
        /// 1 to 6.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// One item of a list.
    ListItem,
    /// A table, one row a line.
    Table,
    /// Text beside the body: page heads and feet, notes, comments, navigation, quoted mails.
    Aside,
    /// Source code or other preformatted text.
    Code,
    /// The border between two pages.
    PageBreak,
}
