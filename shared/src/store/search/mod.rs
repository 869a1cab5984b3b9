//! Search: one statement for each mode, over what is live in one workspace and meets a filter.
//!
//! Whether the dense leg compares vectors one by one or walks the HNSW index is decided by the statement from what it
//! counts, never by the planner: with a tenant of one percent of the vectors the planner's choice finds four percent of
//! the answers.

mod condition;
mod statement;

use pgvector::Vector;
use sea_orm::{FromQueryResult, QueryResult};

use super::{Conn, Result, sql};
use crate::{
    domain::filter::Filter,
    id::{ChunkId, FileId, SpaceId, VersionId, WorkspaceId},
};

/// Where one way of searching gives way to another.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Up to this many vectors are compared one by one: exact, and no slower than an index walk of good recall.
    exact: u32,
    /// The same, times the square root of the vectors in the space: the walk passes vectors of others in proportion to
    /// how many there are, comparing costs in proportion to one's own.
    exact_root: u32,
    /// Chunks that the lexical leg ranks, by estimate, before it leaves out frequent words.
    ranked: u32,
    /// Least candidates a leg contributes.
    candidates: i64,
}

/// Measured with `just bench-search`.
const LIMITS: Limits = Limits { exact: 10_000, exact_root: 40, ranked: 5_000, candidates: 50 };

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By meaning and by words, fused.
    Hybrid,
    /// By meaning.
    Vector,
    /// By words.
    Text,
}

/// How the dense leg was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Every vector of the tenant was compared.
    Exact,
    /// The HNSW index was walked.
    Index,
    /// There was no dense leg.
    Lexical,
}

impl Plan {
    /// Its name in answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Index => "index",
            Self::Lexical => "lexical",
        }
    }
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// How.
    pub mode: Mode,
    /// In words. [`Mode::Vector`] only highlights them.
    pub text: String,
    /// As a unit vector of the space; empty for [`Mode::Text`].
    pub vector: Vec<f32>,
    /// Which files to look in; all without one.
    pub filter: Option<Filter>,
    /// Most hits.
    pub limit: i64,
}

/// The space to search in.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Its id.
    pub id: SpaceId,
    /// Length of its vectors.
    pub dimensions: u16,
}

/// A chunk that was found.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Hit {
    /// The chunk.
    pub chunk_id: ChunkId,
    /// Its file.
    pub file_id: FileId,
    /// The file's name.
    pub file_name: String,
    /// What the file is.
    pub media_type: String,
    /// The version whose text it is a range of.
    pub version_id: VersionId,
    /// The page it begins on.
    pub page: Option<i32>,
    /// First byte in the version's text.
    pub start_byte: i64,
    /// One past the last byte.
    pub end_byte: i64,
    /// The headings above it.
    pub heading_path: Vec<String>,
    /// The chunk, with the words that were looked for between [`MARK_START`] and [`MARK_END`].
    pub marked: String,
    /// What hits are ordered by.
    pub score: f64,
    /// Cosine of the angle to the query's vector, if the dense leg found it.
    pub vector_score: Option<f64>,
    /// Rank by words, if the lexical leg found it.
    pub text_score: Option<f64>,
}

/// Before a word that was looked for; a noncharacter, which no text holds.
pub const MARK_START: char = '\u{fdd0}';
/// After it.
pub const MARK_END: char = '\u{fdd1}';

/// Hits, best first, and how they were found.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Best first; equals by chunk.
    pub hits: Vec<Hit>,
    /// How.
    pub plan: Plan,
}

/// A hit with what the statement says about its making.
struct Found {
    hit: Hit,
    indexed: Option<bool>,
}

impl FromQueryResult for Found {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self> {
        Ok(Self { hit: Hit::from_query_result(row, prefix)?, indexed: row.try_get(prefix, "indexed")? })
    }
}

/// Searches the live versions of a workspace, in one round trip. As many hits come back as match, up to the limit.
pub async fn search(conn: &impl Conn, workspace: WorkspaceId, space: Space, query: &Query) -> Result<Answer> {
    search_within(conn, workspace, space, query, LIMITS).await
}

async fn search_within(
    conn: &impl Conn,
    workspace: WorkspaceId,
    space: Space,
    query: &Query,
    limits: Limits,
) -> Result<Answer> {
    let shape = statement::Shape { space, mode: query.mode, filter: query.filter.as_ref(), limit: query.limit, limits };
    let vector = (query.mode != Mode::Text).then(|| Vector::from(query.vector.clone()));
    let first = [workspace.into(), query.text.clone().into(), vector.into(), query.limit.into()];
    let (sql, values) = statement::build(&shape, first);
    let found: Vec<Found> = sql::all(conn, &sql, values).await?;
    let plan = match query.mode {
        Mode::Text => Plan::Lexical,
        _ if found.iter().any(|found| found.indexed == Some(true)) => Plan::Index,
        _ => Plan::Exact,
    };
    Ok(Answer { hits: found.into_iter().map(|found| found.hit).collect(), plan })
}

#[cfg(all(test, feature = "testing"))]
mod tests;
