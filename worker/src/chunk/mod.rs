//! Cutting a document into chunks that fit a model.
//!
//! A chunk never crosses a heading, is a byte range of the document's text, and ends where a reader
//! would pause if there is such a place in its second half. The text is tokenized once for cutting
//! and once for counting; general splitters tokenize every candidate, which costs as much as a tenth
//! of embedding itself.

mod cut;
mod section;

use nvisy_embed::Tokenizer;
use nvisy_extract::Document;
use nvisy_shared::store::chunk::NewChunk;

/// Sizes in the tokens of the model.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLimits {
    /// Most tokens in a chunk.
    pub max_tokens: usize,
    /// Tokens a chunk repeats of the one before it in the same section.
    pub overlap_tokens: usize,
}

/// The chunks of a document, in order. None, when there is nothing but white space.
#[must_use]
pub fn split(document: &Document, tokenizer: &Tokenizer, limits: ChunkLimits) -> Vec<NewChunk> {
    let mut chunks = Vec::new();
    for section in section::sections(document) {
        for bytes in cut::cut(&document.text, section.bytes, tokenizer, limits) {
            let text = document.text[bytes.clone()].to_owned();
            chunks.push(NewChunk {
                tokens: u32::try_from(tokenizer.count(&text)).unwrap_or(u32::MAX).max(1),
                page: section::page_at(document, bytes.start),
                heading_path: section.heading_path.clone(),
                text,
                bytes,
            });
        }
    }
    chunks
}
