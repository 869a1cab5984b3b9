//! Ranks the hits of a fused search again, by the stored vectors of the best ones and of their neighbours.
//!
//! 1. The vector leg runs again with the query moved towards its best hits, and is fused with the text leg.
//! 2. Each of the best candidates shares its score with those whose vectors are nearest. The more the best hit by words stands out,
//!    or the fewer hits have all words, the less: such a query names one passage, and its neighbours are no answers.
//!
//! The numbers are those of the best nDCG@10 in `just bench-quality` that costs no known passage its place.

use std::collections::HashMap;

use nvisy_embed::neighbours::{move_towards, smooth};
use pgvector::Vector;
use sea_orm::{FromQueryResult, raw_sql};

use super::{
    fusion::{self, Candidate},
    legs::{Legs, Round},
    query::{SearchMode, SpaceVector},
};
use crate::{
    id::{ChunkId, SpaceId, WorkspaceId},
    store::{Conn, Result, sql},
};

/// The fewest candidates of a leg.
pub(super) const MIN_CANDIDATES: i64 = 100;
/// Best hits towards which the query is moved.
const FEEDBACK_HITS: usize = 3;
/// How much their mean counts, where the query itself counts once.
const FEEDBACK_WEIGHT: f32 = 0.5;
/// Candidates that share scores.
const POOL: usize = 200;
/// Neighbours of a candidate.
const NEIGHBOURS: usize = 3;
/// The neighbours' part of a score.
const WEIGHT: f64 = 0.4;
/// How soon a best hit by words stands out: from two fifths above the next, nothing is shared.
const PEAK_FACTOR: f64 = 2.5;

/// Ranks candidates again, whose best have vectors in the space of `query`.
pub(super) async fn rerank(
    legs: &mut Legs<'_>,
    round: &Round,
    query: &SpaceVector,
    candidates: Vec<Candidate>,
) -> Result<Vec<Candidate>> {
    let first =
        read_vectors(legs.conn, legs.workspace, query.space, &candidates[..candidates.len().min(FEEDBACK_HITS)]);
    let first = first.await?;
    let best: Vec<&[f32]> = first.iter().filter_map(|row| row.vector.as_deref()).collect();
    let Some(moved) = move_towards(&query.vector, &best, FEEDBACK_WEIGHT) else { return Ok(candidates) };
    let moved = SpaceVector { vector: moved, ..*query };
    let (near, _) = legs.near(round, &moved).await?;
    let ranks: HashMap<Key, usize> =
        candidates.iter().enumerate().filter_map(|(place, found)| Some((key(found)?, place + 1))).collect();
    let fused = fuse(legs, round, near, candidates);
    // Only a hybrid search has weights.
    let peak = legs.leg_weights.map_or(0.0, |weights| peak(&fused).max(weights.certainty()));
    let mut ranked = share(legs, query.space, fused, WEIGHT * (1.0 - peak)).await?;
    for found in &mut ranked {
        found.explanation.is_reranked = true;
        found.explanation.rank_before = key(found).and_then(|key| ranks.get(&key).copied());
    }
    Ok(fusion::sorted(ranked))
}

type Key = (Option<i64>, Option<ChunkId>);

/// Identifies a candidate before and after its chunk is known.
fn key(found: &Candidate) -> Option<Key> {
    found.document.map(|document| (Some(document), None)).or_else(|| Some((None, Some(found.chunk?))))
}

/// The text leg of the candidates fused with another vector leg. A candidate keeps the similarity to the query itself.
fn fuse(
    legs: &Legs<'_>,
    round: &Round,
    near: Vec<super::vector_leg::Near>,
    candidates: Vec<Candidate>,
) -> Vec<Candidate> {
    let mut by_text: Vec<(usize, i64, f64)> = candidates
        .iter()
        .filter_map(|found| Some((found.explanation.text_rank?, found.document?, found.text_score?)))
        .collect();
    by_text.sort_unstable_by_key(|(rank, ..)| *rank);
    let by_text: Vec<(i64, f64)> = by_text.into_iter().map(|(_, document, score)| (document, score)).collect();
    let by_vector = fusion::by_vector(vec![near], round.offset);
    let mut fused = match legs.query.mode {
        SearchMode::Hybrid => {
            let weights = legs.leg_weights.map(|fused| fused.weights).unwrap_or_default();
            fusion::hybrid(by_vector, &by_text, round.offset, weights, |document| legs.found.is_exact(document))
        }
        _ => by_vector,
    };
    let mut before: HashMap<Key, Candidate> =
        candidates.into_iter().filter_map(|found| Some((key(&found)?, found))).collect();
    for found in &mut fused {
        let known = key(found).and_then(|key| before.remove(&key));
        found.vector_score = known.as_ref().and_then(|known| known.vector_score);
        found.explanation.vector_rank = known.and_then(|known| known.explanation.vector_rank);
    }
    if legs.query.threshold.vector.is_some() {
        // Chunks that only the moved query finds may be below the threshold.
        fused.retain(|found| found.vector_score.is_some() || found.text_score.is_some());
    }
    // Chunks near the query only are behind those near the moved one.
    let mut left: Vec<Candidate> = before.into_values().collect();
    left.iter_mut().for_each(|found| found.score = 0.0);
    fused.extend(left);
    fusion::sorted(fused)
}

/// How much the best hit by words stands out, 0 to 1.
fn peak(candidates: &[Candidate]) -> f64 {
    let mut scores: Vec<f64> = candidates.iter().filter_map(|found| found.text_score).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    match scores[..] {
        [best, next, ..] if best > 0.0 => (PEAK_FACTOR * (best - next) / best).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// The scores from 0 to 1, those of the best candidates shared with their neighbours. One with an identifier as the query has it
/// loses nothing.
async fn share(legs: &Legs<'_>, space: SpaceId, mut fused: Vec<Candidate>, weight: f64) -> Result<Vec<Candidate>> {
    let pool = fused.len().min(POOL);
    let Some((highest, lowest)) = fused.first().map(|best| best.score).zip(fused[..pool].last().map(|last| last.score))
    else {
        return Ok(fused);
    };
    let range = (highest - lowest).max(f64::EPSILON);
    fused.iter_mut().for_each(|found| found.score = (found.score - lowest) / range);
    let rows = read_vectors(legs.conn, legs.workspace, space, &fused[..pool]).await?;
    let scores: Vec<f64> = fused[..pool].iter().map(|found| found.score).collect();
    let vectors: Vec<Option<&[f32]>> = rows.iter().map(|row| row.vector.as_deref()).collect();
    let shared = smooth(&scores, &vectors, NEIGHBOURS, weight);
    for (found, score) in fused.iter_mut().zip(shared) {
        found.score = if found.explanation.has_identifier { found.score.max(score) } else { score };
    }
    Ok(fused)
}

/// The vector of a candidate; `None`: it has none in the space.
struct CandidateVector {
    vector: Option<Vec<f32>>,
}

#[derive(FromQueryResult)]
struct Row {
    chunk_id: ChunkId,
    document: Option<i64>,
    vector: Vector,
}

/// The vectors of candidates, in their order. `is true` hides the space from the planner: with many tenants and spaces, it expects one
/// vector of a tenant in a space, and would find each by the index of these.
async fn read_vectors(
    conn: &impl Conn,
    workspace: WorkspaceId,
    space: SpaceId,
    candidates: &[Candidate],
) -> Result<Vec<CandidateVector>> {
    let chunks: Vec<ChunkId> = candidates.iter().filter_map(|found| found.chunk).collect();
    let documents: Vec<i64> =
        candidates.iter().filter(|found| found.chunk.is_none()).filter_map(|found| found.document).collect();
    let rows = raw_sql!(
        Postgres,
        "select c.id as chunk_id, c.document, e.vector::vector as vector
         from (
             select found.id, null::bigint as document from unnest({chunks}::uuid[]) as found (id)
             union all
             select c.id, c.document from unnest({documents}::bigint[]) as found (document) cross join lateral (
                 select id, document from chunk
                 where workspace_id = {workspace} and document = found.document offset 0) c) c
         cross join lateral (
             select vector from embedding
             where workspace_id = {workspace} and chunk_id = c.id and (space_id = {space}) is true offset 0) e"
    );
    let rows: Vec<Row> = sql::all(conn, rows).await?;
    let mut by_key: HashMap<Key, Vec<f32>> = HashMap::with_capacity(rows.len());
    for row in rows {
        let key = row.document.map_or((None, Some(row.chunk_id)), |document| (Some(document), None));
        by_key.insert(key, row.vector.to_vec());
    }
    let vector = |found: &Candidate| {
        let key = found.chunk.map_or((found.document, None), |chunk| (None, Some(chunk)));
        CandidateVector { vector: by_key.remove(&key) }
    };
    Ok(candidates.iter().map(vector).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_hit_by_words_stands_out_by_its_lead() {
        let candidates = |scores: &[f64]| -> Vec<Candidate> {
            scores.iter().map(|score| Candidate { text_score: Some(*score), ..Candidate::default() }).collect()
        };
        assert_eq!(peak(&candidates(&[10.0, 5.0, 4.0])), 1.0);
        assert!((peak(&candidates(&[9.0, 10.0])) - 0.25).abs() < 1e-9);
        assert_eq!(peak(&candidates(&[7.0])), 0.0);
    }
}
