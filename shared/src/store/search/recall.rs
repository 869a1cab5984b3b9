//! The recall of searches by vector, measured with the queries of users.

use std::{collections::HashMap, time::Duration};

use super::{
    fusion::Candidate,
    model::{THRESHOLDS, Thresholds},
    nearest::nearest,
    query::{SearchMode, SearchQuery, Seen},
    snapshot,
    vector_leg::{self, VectorLeg},
};
use crate::{
    domain::filter::Filter,
    id::WorkspaceId,
    store::{Conn, Db, Result, db::ReadTransaction, sql},
};

/// The recall of one search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecallSample {
    /// The share of the nearest chunks that the search finds, 0 to 1.
    pub recall: f64,
    /// The share of the chunks in the searched collections whose files match the filter, 0 to 1.
    pub matching: f64,
}

/// The bucket of a filter, for metrics: the smallest of these shares that is not below that of the matching chunks.
#[must_use]
pub fn selectivity(matching: f64) -> &'static str {
    match matching {
        share if share > 0.1 => "100%",
        share if share > 0.01 => "10%",
        share if share > 0.001 => "1%",
        _ => "0.1%",
    }
}

/// Runs the vector leg of a search twice in one snapshot, as a search does and exactly, and compares them. `None`: nothing matches, or
/// the search does not read the vectors of exactly one space. PostgreSQL ends a statement that takes longer than `time_limit`.
pub async fn measure_recall(
    db: &Db,
    workspace: WorkspaceId,
    query: &SearchQuery,
    time_limit: Duration,
) -> Result<Option<RecallSample>> {
    measure_with(db, workspace, query, THRESHOLDS, time_limit).await
}

pub(super) async fn measure_with(
    db: &Db,
    workspace: WorkspaceId,
    query: &SearchQuery,
    thresholds: Thresholds,
    time_limit: Duration,
) -> Result<Option<RecallSample>> {
    let Some(query) = vector_leg_of(query) else { return Ok(None) };
    let tx = snapshot::begin(db).await?;
    tx.execute_unprepared(&format!("set local statement_timeout = {}", time_limit.as_millis())).await?;
    let found = nearest(&tx, workspace, &query, thresholds).await?;
    let exact = nearest(&tx, workspace, &query, Thresholds { exact_vectors: u32::MAX, ..thresholds }).await?;
    let matching = matching_share(&tx, workspace, &query).await?;
    Ok(recall(&found, &exact).map(|recall| RecallSample { recall, matching }))
}

/// The search as its vector leg alone: the first page, without the steps that rank its hits again. Scores of several spaces do not
/// compare.
fn vector_leg_of(query: &SearchQuery) -> Option<SearchQuery> {
    if query.mode == SearchMode::Text || query.vectors.len() != 1 {
        return None;
    }
    Some(SearchQuery {
        mode: SearchMode::Vector,
        per_file: None,
        rerank: None,
        model_scores: HashMap::new(),
        recency: None,
        boosts: Vec::new(),
        pinned: Vec::new(),
        seen: Seen::default(),
        expand: None,
        facets: Vec::new(),
        verify: false,
        ..query.clone()
    })
}

/// The share of the nearest chunks that were found. All chunks that are as near as the last of them are equally right.
fn recall(found: &[Candidate], exact: &[Candidate]) -> Option<f64> {
    let least = exact.last()?.score;
    let near = found.iter().filter(|candidate| candidate.score >= least).count();
    Some(near.min(exact.len()) as f64 / exact.len() as f64)
}

/// The share of the chunks in the searched collections whose files match the filter.
async fn matching_share(tx: &ReadTransaction, workspace: WorkspaceId, query: &SearchQuery) -> Result<f64> {
    let (Some(filter), [vector]) = (query.filter.as_ref(), query.vectors.as_slice()) else { return Ok(1.0) };
    let count = async |filter: Option<&Filter>| -> Result<i64> {
        let collections = query.collections_of(vector.space);
        let visibility = query.visibility;
        let leg = VectorLeg {
            workspace,
            query: vector,
            collections,
            filter,
            visibility,
            has_disabled: false,
            has_documents: false,
            limit: 0,
            candidates: 0,
        };
        Ok(sql::first_value(tx, vector_leg::count_statement(&leg)).await?.unwrap_or_default())
    };
    let (matching, all) = (count(Some(filter)).await?, count(None).await?);
    Ok(matching as f64 / all.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(scores: &[f64]) -> Vec<Candidate> {
        scores.iter().map(|score| Candidate { score: *score, ..Candidate::default() }).collect()
    }

    #[test]
    fn recall_is_the_share_of_the_nearest_that_were_found() {
        let exact = candidates(&[0.9, 0.8, 0.7, 0.6]);
        assert_eq!(recall(&exact, &exact), Some(1.0));
        assert_eq!(recall(&candidates(&[0.9, 0.7, 0.5, 0.4]), &exact), Some(0.5));
        assert_eq!(recall(&[], &exact), Some(0.0));
        assert_eq!(recall(&exact, &[]), None, "nothing matches");
    }

    #[test]
    fn chunks_as_near_as_the_last_count_whichever_were_found() {
        let exact = candidates(&[0.9, 0.7]);
        assert_eq!(recall(&candidates(&[0.9, 0.7, 0.7]), &exact), Some(1.0));
    }

    #[test]
    fn share_of_a_filter_has_the_next_larger_bucket() {
        let buckets = [1.0, 0.5, 0.1, 0.02, 0.01, 0.002, 0.001, 0.0].map(selectivity);
        assert_eq!(buckets, ["100%", "100%", "10%", "10%", "1%", "1%", "0.1%", "0.1%"]);
    }
}
