//! The result of extraction: a text and its structure.

use serde::{Deserialize, Serialize};

/// A file's content as text, with its structure as byte ranges of that text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The whole text. That of a UTF-8 text file equals the file, byte for byte.
    pub text: String,
    /// Structure in reading order; ranges do not overlap.
    pub elements: Vec<Element>,
    /// Number of pages, if the format has pages.
    pub page_count: Option<u32>,
    /// The title that the file declares.
    pub title: Option<String>,
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
    /// The page it begins on, counted from 1.
    pub page: Option<u32>,
}

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
    /// FileInfo code or other preformatted text.
    Code,
    /// The border between two pages.
    PageBreak,
}
