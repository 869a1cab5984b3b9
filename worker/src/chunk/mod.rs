//! Cutting a document into pieces that fit a model.
//!
//! A piece is a byte range of the document's text without white space at its ends. Together the pieces of a document cover all
//! text but white space and encoded binary. The text is tokenized once for cutting and once for counting; general splitters tokenize every
//! candidate, which costs up to a tenth of the embedding itself.

mod areas;
mod characters;
mod cut;
mod noise;
mod outline;
mod pages;
mod piece;
mod sections;
mod sentences;
mod similarity;

pub use characters::{CharacterLimits, by_characters};
pub use pages::{PageLimits, by_pages};
pub use piece::{ChunkModel, Piece};
pub use sections::{SectionLimits, by_sections};
pub use similarity::{SimilarityLimits, Stretches};
