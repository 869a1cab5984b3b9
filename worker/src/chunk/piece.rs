//! A piece of a document, and the model that it must fit.

use std::ops::Range;

use nvisy_embed::Tokenizer;

/// The model that the pieces must fit.
#[derive(Clone)]
pub struct ChunkModel {
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The tokens that it reads of a piece and its contextual prefix together.
    pub max_tokens: usize,
    /// Whether pieces get a contextual prefix.
    pub contextual: bool,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The byte range in the document's text.
    pub bytes: Range<usize>,
    /// The page on which it begins, counted from 1.
    pub page: Option<u32>,
    /// The place in the file, in the file's own terms, of the element in which it begins: the cells of a sheet.
    pub place: Option<String>,
    /// The headings above and at its beginning, outermost first: those of all its text.
    pub headings: Vec<String>,
    /// The number of tokens of the text, at least 1.
    pub tokens: u32,
    /// The headings above it that its text does not contain.
    pub prefix: Option<String>,
}
