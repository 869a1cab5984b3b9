//! Search: one statement for each mode, over the live targets of collections whose files match a filter.
//!
//! The statement itself, not PostgreSQL's planner, decides from row counts whether the vector leg scans all vectors or
//! walks the HNSW index: for a tenant with one percent of the vectors, the planner's choice finds four percent of the
//! hits.

pub(super) mod condition;
pub(super) mod parameters;
mod statement;

use sea_orm::{FromQueryResult, QueryResult};

pub(super) use self::{condition::condition, parameters::Parameters};

use super::{Conn, Result, sql};
use crate::{
    domain::filter::Filter,
    id::{ChunkId, CollectionId, FileId, SpaceId, VersionId, WorkspaceId},
};

/// Row counts that select an access path.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    /// Up to this many vectors the vector leg scans exactly, which is no slower than an index walk of good recall.
    exact_vectors: u32,
    /// A second bound, times the square root of the number of vectors in the space: a walk also visits vectors of other
    /// tenants, so its cost grows with the space; the cost of a scan grows with the tenant.
    exact_vectors_per_root: u32,
    /// Above this estimated number of ranked chunks the text leg leaves out frequent words.
    ranked_chunks: u32,
    /// Minimum number of candidates of a leg.
    min_candidates: i64,
}

/// Measured with `just bench-search`.
const THRESHOLDS: Thresholds =
    Thresholds { exact_vectors: 10_000, exact_vectors_per_root: 40, ranked_chunks: 5_000, min_candidates: 50 };

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
    /// The words. [`SearchMode::Vector`] only highlights them.
    pub text: String,
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
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
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
    /// Score of the matched words, if the text leg found the chunk.
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
}

/// A hit, and whether the index walk found it.
struct Row {
    hit: Hit,
    indexed: Option<bool>,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self { hit: Hit::from_query_result(row, prefix)?, indexed: row.try_get(prefix, "indexed")? })
    }
}

/// Searches collections of a workspace in one round trip. Returns every match, up to the limit.
pub async fn search(conn: &impl Conn, workspace: WorkspaceId, query: &SearchQuery) -> Result<SearchResult> {
    search_with(conn, workspace, query, THRESHOLDS).await
}

async fn search_with(
    conn: &impl Conn,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
) -> Result<SearchResult> {
    let rows: Vec<Row> = sql::all(conn, statement::build(workspace, query, thresholds)).await?;
    let access_path = match query.mode {
        SearchMode::Text => AccessPath::Lexical,
        _ if rows.iter().any(|row| row.indexed == Some(true)) => AccessPath::Index,
        _ => AccessPath::Exact,
    };
    Ok(SearchResult { hits: rows.into_iter().map(|row| row.hit).collect(), access_path })
}

#[cfg(all(test, feature = "testing"))]
mod tests;
