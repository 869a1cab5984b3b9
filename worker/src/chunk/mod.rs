//! Cutting a document into chunks that fit a model.
//!
//! A chunk is a byte range of the document's text, never crosses a heading, and ends at a natural pause if its second half has
//! one. The text is tokenized once for cutting and once for counting; general splitters tokenize every candidate, which costs
//! up to a tenth of the embedding itself.

mod cut;
mod section;

use nvisy_embed::Tokenizer;
use nvisy_extract::Document;
use nvisy_shared::store::chunk::NewChunk;

/// Limits of a chunk, in tokens of the model.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLimits {
    /// Most tokens in a chunk.
    pub max_tokens: usize,
    /// Tokens that a chunk repeats of the previous one in the same section.
    pub overlap_tokens: usize,
}

/// The chunks of a document, in order; none if it has only white space.
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
