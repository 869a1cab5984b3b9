//! Ranking by a model outside of the database: the search that finds the passages for it, and the order that its scores give.
//!
//! A search with such a ranking is two: the first one finds the passages to be scored, without the hits of earlier pages left out,
//! so that all pages have the same ones. No transaction is open while the model computes. The second one, with the scores, is the
//! search itself: in each of its rounds the scored passages come first, and pages, groups and files follow from that order.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, raw_sql};

use super::{
    fusion::Candidate,
    model::{Hit, MARK_END, MARK_START},
    query::{Rerank, SearchQuery, Seen, multiplied},
};
use crate::{
    id::{ChunkId, WorkspaceId},
    store::{Conn, Result, sql},
};

impl SearchQuery {
    /// The search for the passages that the model is to score; `None`: no model is to.
    #[must_use]
    pub fn for_model(&self) -> Option<Self> {
        let Some(Rerank::Model(rerank)) = &self.rerank else { return None };
        Some(Self {
            limit: rerank.candidates.into(),
            per_file: None,
            // Pinned files come first in any case.
            hidden: self.hidden.iter().chain(&self.pinned).copied().collect(),
            pinned: Vec::new(),
            seen: Seen::default(),
            expand: None,
            facets: Vec::new(),
            verify: false,
            ..self.clone()
        })
    }
}

impl Hit {
    /// The text of the chunk, without marks.
    #[must_use]
    pub fn text(&self) -> String {
        self.marked_text.replace([MARK_START, MARK_END], "")
    }
}

#[derive(FromQueryResult)]
struct Row {
    id: ChunkId,
    text: String,
}

/// The texts of chunks, for the model. Deleted ones have none.
pub async fn chunk_texts(
    conn: &impl Conn,
    workspace: WorkspaceId,
    chunks: Vec<ChunkId>,
) -> Result<HashMap<ChunkId, String>> {
    let texts =
        raw_sql!(Postgres, "select id, text from chunk where workspace_id = {workspace} and id = any({chunks})");
    let rows: Vec<Row> = sql::all(conn, texts).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.text)).collect())
}

/// Puts the chunks that the model has scored before all others, best first. The scores by which hits are sorted stay at their
/// places: those of the model and of the search do not compare.
pub(super) fn reorder(query: &SearchQuery, candidates: Vec<Candidate>) -> Vec<Candidate> {
    if query.model_scores.is_empty() {
        return candidates;
    }
    let scores: Vec<f64> = candidates.iter().map(|found| found.score).collect();
    let (mut scored, mut others) = (Vec::new(), Vec::new());
    for (place, mut found) in candidates.into_iter().enumerate() {
        let Some(score) = found.chunk.and_then(|chunk| query.model_scores.get(&chunk).copied()) else {
            others.push(found);
            continue;
        };
        found.explanation.model_score = Some(score);
        found.explanation.rank_before = Some(place + 1);
        let factor = found.explanation.recency.unwrap_or(1.0) * found.explanation.boost.unwrap_or(1.0);
        scored.push((multiplied(score, factor), found));
    }
    // Stable: equal scores stay in their order.
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let ordered = scored.into_iter().map(|(_, found)| found).chain(others);
    ordered.zip(scores).map(|(found, score)| Candidate { score, ..found }).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            model::Explanation,
            query::{ModelRerank, RerankModel},
        },
        *,
    };
    use crate::id::FileId;

    fn candidates(scores: &[f64]) -> Vec<Candidate> {
        let candidate = |score: &f64| Candidate { chunk: Some(ChunkId::new()), score: *score, ..Candidate::default() };
        scores.iter().map(candidate).collect()
    }

    #[test]
    fn scored_chunks_come_first_and_the_scores_of_places_stay() {
        let found = candidates(&[9.0, 7.0, 5.0, 3.0]);
        let ids: Vec<ChunkId> = found.iter().filter_map(|found| found.chunk).collect();
        let model_scores = [(ids[1], 0.2), (ids[2], 0.8), (ids[3], 0.2), (ChunkId::new(), 0.9)].into();
        let query = SearchQuery { model_scores, ..SearchQuery::default() };
        let ordered = reorder(&query, found.clone());
        assert_eq!(
            ordered.iter().filter_map(|found| found.chunk).collect::<Vec<_>>(),
            [ids[2], ids[1], ids[3], ids[0]]
        );
        assert_eq!(ordered.iter().map(|found| found.score).collect::<Vec<_>>(), [9.0, 7.0, 5.0, 3.0]);
        let places: Vec<_> = ordered.iter().map(|found| found.explanation.rank_before).collect();
        assert_eq!(places, [Some(3), Some(2), Some(4), None]);
        assert_eq!(ordered[0].explanation.model_score, Some(0.8));
        assert_eq!(reorder(&SearchQuery::default(), found.clone()), found);
    }

    #[test]
    fn age_of_a_file_counts_beside_the_score_of_the_model() {
        let mut found = candidates(&[2.0, 1.0]);
        let ids: Vec<ChunkId> = found.iter().filter_map(|found| found.chunk).collect();
        found[0].explanation = Explanation { recency: Some(0.5), ..Explanation::default() };
        found[1].explanation = Explanation { recency: Some(1.0), ..Explanation::default() };
        let query = SearchQuery { model_scores: [(ids[0], 0.8), (ids[1], 0.5)].into(), ..SearchQuery::default() };
        assert_eq!(reorder(&query, found).first().and_then(|found| found.chunk), Some(ids[1]));
    }

    #[test]
    fn passages_for_the_model_are_those_of_the_first_page_without_pinned_files() {
        let (pinned, hidden) = (FileId::new(), FileId::new());
        let rerank = Rerank::Model(ModelRerank { model: RerankModel::Local, candidates: 30 });
        let seen = Seen::new([[1; 6]].into());
        let query = SearchQuery {
            rerank: Some(rerank),
            limit: 5,
            per_file: Some(2),
            pinned: vec![pinned],
            hidden: vec![hidden],
            seen,
            ..SearchQuery::default()
        };
        let found = query.for_model().unwrap();
        assert_eq!((found.limit, found.per_file, found.hidden), (30, None, vec![hidden, pinned]));
        assert!(found.pinned.is_empty() && found.seen.is_empty());
        assert!(SearchQuery { rerank: Some(Rerank::Neighbours), ..query }.for_model().is_none());
    }
}
