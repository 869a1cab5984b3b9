//! Search over the live targets of collections whose files match a filter: by vector, by words, or both.
//!
//! All statements of a search read one snapshot. The statement of the vector leg itself, not PostgreSQL's planner, decides from
//! row counts whether it scans all vectors or walks the HNSW index: for a tenant with one percent of the vectors, the planner's
//! choice finds four percent of the hits.

pub(super) mod condition;
mod expansion;
mod fusion;
mod hits;
mod model;
pub(super) mod parameters;
mod phrases;
mod text_leg;
mod vector_leg;

pub use nvisy_lexical::Language;
use nvisy_lexical::{highlight::Matcher, query::Query};

pub use self::model::{AccessPath, Hit, MARK_END, MARK_START, SearchMode, SearchQuery, SearchResult, SpaceVector};
pub(super) use self::{condition::condition, parameters::Parameters};
use self::{
    fusion::Candidate,
    model::Thresholds,
    text_leg::{Found, Scope},
    vector_leg::{Near, VectorLeg},
};
use super::{Conn, Db, Result, TransactionTrait as _, Tx, sql, transaction};
use crate::id::WorkspaceId;

/// Measured with `just bench-search`.
const THRESHOLDS: Thresholds = Thresholds { exact_vectors: 4_000, exact_vectors_per_root: 40, min_candidates: 50 };

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
