//! The results of searches.

use std::time::Duration;

use super::{facets::Facet, leg_weights::LegWeights};
use crate::id::{ChunkId, CollectionId, FileId, VersionId};

/// Row counts that select an access path.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Thresholds {
    /// Up to this many vectors the vector leg scans exactly, which is no slower than an index walk of good recall.
    pub(in crate::store) exact_vectors: u32,
    /// A second bound, times the square root of the number of vectors in the space: a walk also visits vectors of other
    /// tenants, so its cost grows with the space; the cost of a scan grows with the tenant.
    pub(in crate::store) exact_vectors_per_root: u32,
    /// Minimum number of candidates of a leg.
    pub(in crate::store) min_candidates: i64,
}

/// Measured with `just bench-search`.
pub(in crate::store) const THRESHOLDS: Thresholds =
    Thresholds { exact_vectors: 4_000, exact_vectors_per_root: 40, min_candidates: 50 };

/// How a search accessed the vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessPath {
    /// An exact scan of the tenant's vectors.
    Exact,
    /// A walk of the HNSW index.
    Index,
    /// No access: a search by words.
    #[default]
    Lexical,
}

impl AccessPath {
    /// Its name in responses and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Index => "index",
            Self::Lexical => "lexical",
        }
    }
}

/// A chunk that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Its file.
    pub file_id: FileId,
    /// The file's name.
    pub file_name: String,
    /// The file's media type.
    pub media_type: String,
    /// The file version that contains the chunk.
    pub version_id: VersionId,
    /// The collection that contains it.
    pub collection_id: CollectionId,
    /// The collection's name.
    pub collection_name: String,
    /// The page it begins on.
    pub page: Option<i32>,
    /// First byte in the version's text.
    pub start_byte: i64,
    /// One past the last byte.
    pub end_byte: i64,
    /// The headings above it.
    pub heading_path: Vec<String>,
    /// The text of the chunk, with matched words between [`MARK_START`] and [`MARK_END`].
    pub marked_text: String,
    /// Whether it is another text than that of the range.
    pub is_edited: bool,
    /// Raised whenever the chunk changes.
    pub revision: i32,
    /// The hash of version, byte range and text, which its chunks in several collections have in common.
    pub passage: i64,
    /// The score by which hits are sorted.
    pub score: f64,
    /// Cosine similarity to the query's vector, if the vector leg found the chunk.
    pub vector_score: Option<f64>,
    /// BM25 of the matched words, if the text leg found the chunk.
    pub text_score: Option<f64>,
    /// How the score came about.
    pub explanation: Explanation,
    /// The text around it, if the search asks for it.
    pub context: Option<Context>,
}

/// How the score of a hit came about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The place in the vector leg, from 1.
    pub vector_rank: Option<usize>,
    /// The place in the text leg, from 1.
    pub text_rank: Option<usize>,
    /// Whether the chunk has an identifier as the query has it.
    pub has_identifier: bool,
    /// Whether [`super::Rerank::Neighbours`] has ranked it again.
    pub is_reranked: bool,
    /// The score of a model that has ranked it again.
    pub model_score: Option<f64>,
    /// The place before, from 1; `None`: it was not found before.
    pub rank_before: Option<usize>,
    /// The words of the chunk that are synonyms of words of the query, as they stand there.
    pub synonyms: Vec<String>,
    /// The factor of the file's age.
    pub recency: Option<f64>,
    /// The factor of the boosts whose filters the file matches.
    pub boost: Option<f64>,
    /// Whether its file is pinned.
    pub is_pinned: bool,
}

/// The text around a hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Parts of the version's text in their order, which neither overlap nor touch. A part that a better hit has is left out.
    pub passages: Vec<Passage>,
    /// Whether the limit of bytes has left out a part.
    pub is_truncated: bool,
}

/// A part of a version's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// First byte in the version's text.
    pub start_byte: i64,
    /// One past the last byte.
    pub end_byte: i64,
    /// The text.
    pub text: String,
}

/// Precedes a matched word; a noncharacter, which no text contains.
pub const MARK_START: char = '\u{fdd0}';
/// Follows a matched word.
pub const MARK_END: char = '\u{fdd1}';

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct SearchResult {
    /// Best first; equal scores by chunk id. In a grouped search, the hits of a file follow each other.
    pub hits: Vec<Hit>,
    /// Whether there are further hits, or files of a grouped search.
    pub has_more: bool,
    /// How the vectors were accessed.
    pub access_path: AccessPath,
    /// Whether the words of some chunks are not indexed yet, after an update from a version without postings.
    pub is_incomplete: bool,
    /// The counts of the requested fields, in the order of the request.
    pub facets: Vec<Facet>,
    /// The share of the hits of an exact search that the result has, if the search asks for it.
    pub recall: Option<f64>,
    /// How a hybrid search has fused its legs; `None` in other modes.
    pub leg_weights: Option<LegWeights>,
    /// The work of the search.
    pub work: Work,
}

/// The work of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rounds of the legs: the first, and those that followed because it found too little.
    pub rounds: usize,
    /// Chunks that the legs found in the last round.
    pub candidates: usize,
    /// The time of the legs' statements and of the ranking.
    pub ranking: Duration,
    /// The time of reading the hits.
    pub reading: Duration,
    /// The time of marking words in the hits.
    pub highlighting: Duration,
    /// The time of counting facets.
    pub facets: Duration,
    /// The time of the exact search that verifies the result.
    pub verifying: Duration,
}
