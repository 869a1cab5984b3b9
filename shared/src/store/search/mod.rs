//! Search: one statement for each mode, over what is live in one workspace.
//!
//! Whether the dense leg scans the tenant's vectors exactly or walks the HNSW index is decided here, never by
//! the planner: with a tenant of one percent of the vectors the planner's choice finds four percent of the answers.

mod statement;

use pgvector::Vector;
use sea_orm::FromQueryResult;

use super::{Conn, Result, sql};
use crate::id::{ChunkId, FileId, SpaceId, VersionId, WorkspaceId};

/// Candidates each leg contributes; also the least an HNSW walk is asked for.
const CANDIDATES: i64 = 100;

/// Up to this many vectors of a tenant are compared one by one: exact, and as fast as the index with its recall.
const EXACT: i64 = 20_000;

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
    /// In words; empty for [`Mode::Vector`].
    pub text: String,
    /// As a unit vector of the space; empty for [`Mode::Text`].
    pub vector: Vec<f32>,
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

/// Searches the live versions of a workspace. As many hits come back as match, up to the limit.
///
/// # Errors
/// The database's.
pub async fn search(conn: &impl Conn, workspace: WorkspaceId, space: Space, query: &Query) -> Result<Answer> {
    if query.mode == Mode::Text {
        return Ok(Answer { hits: run(conn, workspace, space, query, Plan::Lexical).await?, plan: Plan::Lexical });
    }
    let plan = if few(conn, workspace, space.id).await? { Plan::Exact } else { Plan::Index };
    let hits = run(conn, workspace, space, query, plan).await?;
    // The walk gave up before it had seen enough of this tenant's vectors: the exact way finds the rest.
    if plan == Plan::Index && i64::try_from(hits.len()).unwrap_or(i64::MAX) < query.limit {
        return Ok(Answer { hits: run(conn, workspace, space, query, Plan::Exact).await?, plan: Plan::Exact });
    }
    Ok(Answer { hits, plan })
}

async fn few(conn: &impl Conn, workspace: WorkspaceId, space: SpaceId) -> Result<bool> {
    #[derive(FromQueryResult)]
    struct Found {
        n: i64,
    }
    let found: Option<Found> = sql::first(
        conn,
        "select count(*) as n from (
             select from embedding where workspace_id = $1 and space_id = $2 limit $3) first",
        [workspace.into(), space.into(), (EXACT + 1).into()],
    )
    .await?;
    Ok(found.is_none_or(|found| found.n <= EXACT))
}

async fn run(conn: &impl Conn, workspace: WorkspaceId, space: Space, query: &Query, plan: Plan) -> Result<Vec<Hit>> {
    let candidates = CANDIDATES.max(query.limit);
    let sql = statement::build(space, query.mode, plan);
    let vector = if query.vector.is_empty() { None } else { Some(Vector::from(query.vector.clone())) };
    sql::all(
        conn,
        &sql,
        [workspace.into(), query.text.clone().into(), vector.into(), candidates.into(), query.limit.into()],
    )
    .await
}
