//! Searches, and their results.

use nvisy_lexical::Language;

use crate::{
    domain::filter::Filter,
    id::{ChunkId, CollectionId, FileId, SpaceId, VersionId},
};

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

/// The ranking of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchMode {
    /// By meaning and by words, fused by rank.
    Hybrid,
    /// By meaning.
    Vector,
    /// By words.
    Text,
}

/// How a search accessed the vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessPath {
    /// An exact scan of the tenant's vectors.
    Exact,
    /// A walk of the HNSW index.
    Index,
    /// No access: a search by words.
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

/// A search.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The ranking.
    pub mode: SearchMode,
    /// The words, with operators (`"phrase"`, `-word`, `prefix*`). [`SearchMode::Vector`] highlights the words, and heeds phrases
    /// and excluded words.
    pub text: String,
    /// The language of the words; `None`: it is detected, or that of the chunks.
    pub language: Option<Language>,
    /// The query in each space to search; [`SearchMode::Text`] ignores them.
    pub vectors: Vec<SpaceVector>,
    /// The collections to search; `None`: all of the workspace.
    pub collections: Option<Vec<CollectionId>>,
    /// Limits the search to matching files.
    pub filter: Option<Filter>,
    /// Maximum number of hits.
    pub limit: i64,
}

/// The query in one space.
#[derive(Clone, Debug)]
pub struct SpaceVector {
    /// The space.
    pub space: SpaceId,
    /// A unit vector of the space.
    pub vector: Vec<f32>,
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
    /// The score by which hits are sorted.
    pub score: f64,
    /// Cosine similarity to the query's vector, if the vector leg found the chunk.
    pub vector_score: Option<f64>,
    /// BM25 of the matched words, if the text leg found the chunk.
    pub text_score: Option<f64>,
}

/// Precedes a matched word; a noncharacter, which no text contains.
pub const MARK_START: char = '\u{fdd0}';
/// Follows a matched word.
pub const MARK_END: char = '\u{fdd1}';

/// The result of a search.
#[derive(Clone, Debug)]
pub struct SearchResult {
    /// Best first; equal scores by chunk id.
    pub hits: Vec<Hit>,
    /// How the vectors were accessed.
    pub access_path: AccessPath,
    /// Whether the words of some chunks are not indexed yet, after an update from a version without postings.
    pub is_incomplete: bool,
}
