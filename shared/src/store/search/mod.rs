//! Search over the live targets of collections whose files match a filter: by vector, by words, or both.
//!
//! All statements of a search read one snapshot. The statement of the vector leg itself, not PostgreSQL's planner, decides from
//! row counts whether it scans all vectors or walks the HNSW index: for a tenant with one percent of the vectors, the planner's
//! choice finds four percent of the hits.

pub(super) mod condition;
mod expansion;
mod fusion;
mod hits;
pub(super) mod parameters;
mod phrases;
mod text_leg;
mod vector_leg;

pub use nvisy_lexical::Language;
use nvisy_lexical::{highlight::Matcher, query::Query};

pub(super) use self::{condition::condition, parameters::Parameters};
use self::{
    fusion::Candidate,
    text_leg::{Found, Scope},
    vector_leg::{Near, VectorLeg},
};
use super::{Conn, Db, Result, TransactionTrait as _, Tx, sql, transaction};
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
    /// Minimum number of candidates of a leg.
    min_candidates: i64,
}

/// Measured with `just bench-search`.
const THRESHOLDS: Thresholds = Thresholds { exact_vectors: 4_000, exact_vectors_per_root: 40, min_candidates: 50 };

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

/// The part of a query that has a meaning to be embedded: without operators and excluded words.
#[must_use]
pub fn meaning(query: &str) -> String {
    Query::parse(query).text()
}

/// Whether a query has a word to be found.
#[must_use]
pub fn has_words(query: &str) -> bool {
    !Query::parse(query).is_empty()
}

/// Searches collections of a workspace. Returns every match, up to the limit.
pub async fn search(db: &Db, workspace: WorkspaceId, query: &SearchQuery) -> Result<SearchResult> {
    search_with(db, workspace, query, THRESHOLDS).await
}

async fn search_with(
    db: &Db,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
) -> Result<SearchResult> {
    let tx = db.begin().await?;
    // PostgreSQL plans a statement with parameters anew each time if it expects to save more than planning costs, and the
    // statements of a search are made so that nothing can be saved. The plan for an average tenant must not read a table whole.
    tx.execute_unprepared(
        "set transaction isolation level repeatable read, read only; set local plan_cache_mode = force_generic_plan;
         set local enable_seqscan = off",
    )
    .await?;
    let search = Search { conn: &tx, workspace, query, thresholds };
    let result = search.run().await?;
    transaction::commit(tx).await?;
    Ok(result)
}

/// A search in its transaction.
struct Search<'a> {
    conn: &'a Tx,
    workspace: WorkspaceId,
    query: &'a SearchQuery,
    thresholds: Thresholds,
}

impl Search<'_> {
    async fn run(&self) -> Result<SearchResult> {
        let Self { conn, workspace, query, .. } = self;
        let parsed = Query::parse(&query.text);
        let mut scope = Scope::read(*conn, *workspace, query.collections.as_deref(), &parsed, query.language).await?;
        let (found, text) = match query.mode {
            SearchMode::Vector => (Found::of_words(&scope), Vec::new()),
            SearchMode::Text | SearchMode::Hybrid => self.by_text(&mut scope).await?,
        };
        let (near, walked) = match query.mode {
            SearchMode::Text => (Vec::new(), false),
            SearchMode::Vector | SearchMode::Hybrid => self.by_vector(&scope).await?,
        };
        let mut best = match query.mode {
            SearchMode::Text => fusion::by_text(&text),
            SearchMode::Vector => fusion::by_vector(near),
            SearchMode::Hybrid => fusion::hybrid(fusion::by_vector(near), &text, |document| found.is_exact(document)),
        };
        best.truncate(usize::try_from(query.limit).unwrap_or_default());
        let access_path = match query.mode {
            SearchMode::Text => AccessPath::Lexical,
            _ if walked => AccessPath::Index,
            _ => AccessPath::Exact,
        };
        let hits = self.read(best, &found.matcher).await?;
        Ok(SearchResult { hits, access_path, is_incomplete: scope.is_incomplete })
    }

    async fn read(&self, best: Vec<Candidate>, matcher: &Matcher) -> Result<Vec<Hit>> {
        hits::read(self.conn, self.workspace, best, matcher).await
    }

    /// The number of candidates of a leg: a power of two of the least number, so that the statements of most limits are the
    /// same.
    fn candidates(&self) -> i64 {
        let mut candidates = self.thresholds.min_candidates;
        while candidates < 2 * self.query.limit {
            candidates *= 2;
        }
        candidates
    }

    /// The best chunks by words.
    async fn by_text(&self, scope: &mut Scope) -> Result<(Found, Vec<(i64, f64)>)> {
        if let Some(filter) = &self.query.filter {
            scope.restrict(self.conn, filter).await?;
        }
        let found = scope.find(self.conn).await?;
        let candidates = usize::try_from(self.candidates()).unwrap_or_default();
        let best = if phrases::must_be_read(&scope.conditions) {
            phrases::filter(self.conn, self.workspace, &scope.conditions, &found, scope, candidates).await?
        } else {
            found.best(scope, candidates)
        };
        Ok((found, best))
    }

    /// The nearest chunks in each space, and whether an index was walked.
    async fn by_vector(&self, scope: &Scope) -> Result<(Vec<Vec<Near>>, bool)> {
        let (mut legs, mut walked) = (Vec::new(), false);
        for vector in &self.query.vectors {
            let near = self.vector_leg(scope, vector).await?;
            walked |= near.iter().any(|near| near.indexed);
            legs.push(near);
        }
        Ok((legs, walked))
    }

    /// The nearest chunks in a space whose texts meet the conditions of the query. If they leave too few, more are read.
    async fn vector_leg(&self, scope: &Scope, vector: &SpaceVector) -> Result<Vec<Near>> {
        let query = self.query;
        let mut leg = VectorLeg {
            workspace: self.workspace,
            query: vector,
            collections: query.collections.as_deref(),
            filter: query.filter.as_ref(),
            limit: query.limit,
            candidates: self.candidates(),
        };
        loop {
            let near: Vec<Near> = sql::all(self.conn, vector_leg::statement(&leg, self.thresholds)).await?;
            if scope.conditions.required.is_empty() && scope.conditions.excluded.is_empty() {
                return Ok(near);
            }
            let is_all = i64::try_from(near.len()).unwrap_or(i64::MAX) < leg.candidates;
            let allowed = phrases::filter_near(self.conn, self.workspace, &scope.conditions, near).await?;
            let is_enough = i64::try_from(allowed.len()).unwrap_or(i64::MAX) >= query.limit;
            if is_all || is_enough || leg.candidates >= phrases::MAX_READ_CHUNKS {
                return Ok(allowed);
            }
            leg.candidates *= 8;
            leg.limit = leg.candidates;
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
