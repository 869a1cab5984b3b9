//! Search over the live targets of collections, or those of a past time, whose files match a filter: by vector, by words, or both.
//!
//! All statements of a search read one snapshot. The statement of the vector leg itself, not PostgreSQL's planner, decides from
//! row counts whether it scans all vectors or walks the HNSW index: for a tenant with one percent of the vectors, the planner's
//! choice finds four percent of the hits.

mod collections_by_space;
pub(super) mod condition;
mod context;
mod disabled;
mod expansion;
mod facets;
mod fusion;
mod hits;
mod leg_weights;
mod legs;
mod model;
mod model_rerank;
mod nearest;
mod neighbours;
mod owning_file;
pub(super) mod parameters;
mod phrases;
mod query;
mod recall;
mod selection;
mod similar;
mod snapshot;
mod text_leg;
mod vector_leg;
mod visibility;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use nvisy_lexical::query::Query;
pub use nvisy_lexical::{Accents, Language};

pub use self::{
    collections_by_space::collections_by_space,
    facets::{Facet, FacetField},
    leg_weights::LegWeights,
    model::{AccessPath, Context, Explanation, Hit, MARK_END, MARK_START, Passage, SearchResult, Work},
    model_rerank::chunk_texts,
    nearest::nearest_chunks,
    query::{
        Boost, BoostRequest, Expand, MAX_DEPTH, ModelRerank, Recency, Rerank, RerankModel, SearchMode, SearchQuery,
        Seen, SeenMark, SpaceVector, Threshold, Weights,
    },
    recall::{RecallSample, measure_recall, selectivity},
    similar::{chunk_vectors, file_vectors, passage_chunks},
    text_leg::WordMatch,
    visibility::Visibility,
};
pub(super) use self::{condition::condition, parameters::Parameters};
use self::{
    hits::ReadHits,
    legs::Legs,
    model::{THRESHOLDS, Thresholds},
    selection::{Duplicates, Selected},
};
use super::{Db, Result, db::ReadTransaction};
use crate::id::WorkspaceId;

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
    let tx = snapshot::begin(db).await?;
    run(&tx, workspace, query, thresholds).await
}

async fn run(
    tx: &ReadTransaction,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
) -> Result<SearchResult> {
    let mut work = Work::default();
    let mut since = Stopwatch::start();
    let mut legs = Legs::open(tx, workspace, query, thresholds).await?;
    let mut selected = selection::select(&mut legs, Duplicates::Keep).await?;
    work.ranking = since.lap();
    let mut read = hits::read(tx, workspace, selected.candidates, &legs.found).await?;
    if read.has_duplicates() {
        // Rare, so the passages of all candidates are not read before.
        let of_reading = since.lap();
        let rounds = selected.rounds;
        selected = selection::select(&mut legs, Duplicates::Drop).await?;
        selected.rounds += rounds;
        work.ranking += of_reading + since.lap();
        read = hits::read(tx, workspace, selected.candidates, &legs.found).await?;
    }
    let Selected { has_more, rounds, last_candidates, .. } = selected;
    let ReadHits { mut hits, highlighting } = read;
    work = Work { rounds, candidates: last_candidates, ..work };
    if let Some(expand) = query.expand {
        context::add(tx, workspace, expand, &mut hits).await?;
    }
    let hits: Vec<Hit> = hits.into_iter().map(|(hit, _)| hit).collect();
    work = Work { highlighting, reading: since.lap().saturating_sub(highlighting), ..work };
    let facets = facets::count(tx, workspace, &legs.scope.collections, query).await?;
    work.facets = since.lap();
    let access_path = match query.mode {
        SearchMode::Text => AccessPath::Lexical,
        _ if legs.has_walked => AccessPath::Index,
        _ => AccessPath::Exact,
    };
    let (is_incomplete, leg_weights) = (legs.scope.is_incomplete, legs.leg_weights);
    let mut recall = None;
    if query.verify {
        recall = Some(recall_of(&hits, tx, workspace, query, thresholds).await?);
        work.verifying = since.lap();
    }
    Ok(SearchResult { hits, has_more, access_path, is_incomplete, facets, recall, leg_weights, work })
}

/// The share of the hits of an exact search that the hits have.
async fn recall_of(
    hits: &[Hit],
    tx: &ReadTransaction,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
) -> Result<f64> {
    let thresholds = Thresholds { exact_vectors: u32::MAX, ..thresholds };
    let mut legs = Legs::open(tx, workspace, query, thresholds).await?;
    let exact = selection::select(&mut legs, Duplicates::Drop).await?.candidates;
    let exact = hits::read(tx, workspace, exact, &legs.found).await?.hits;
    if exact.is_empty() {
        return Ok(1.0);
    }
    let found: HashSet<i64> = hits.iter().map(|hit| hit.passage).collect();
    let common = exact.iter().filter(|(hit, _)| found.contains(&hit.passage)).count();
    Ok(common as f64 / exact.len() as f64)
}

/// Measures steps that follow each other.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the last lap.
    fn lap(&mut self) -> Duration {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
