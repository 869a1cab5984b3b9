//! Fuses the results of the legs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{model::Explanation, query::Weights, vector_leg::Near};
use crate::id::{ChunkId, FileId, TargetId};

/// The constant k of reciprocal rank fusion; 60 is the usual value and keeps the first few ranks close.
const FUSION_K: f64 = 60.0;

/// A chunk that a leg has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store) struct Candidate {
    /// The chunk; `None`: only its document is known.
    pub(in crate::store) chunk: Option<ChunkId>,
    /// Its document; `None`: it has no postings yet.
    pub(in crate::store) document: Option<i64>,
    /// The score by which hits are sorted.
    pub(in crate::store) score: f64,
    /// Cosine similarity, if the vector leg found it.
    pub(in crate::store) vector_score: Option<f64>,
    /// BM25, if the text leg found it.
    pub(in crate::store) text_score: Option<f64>,
    /// How the score came about.
    pub(in crate::store) explanation: Explanation,
    /// Its file, if the ranking needs it.
    pub(in crate::store) file: Option<OwningFile>,
}

/// The file of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) struct OwningFile {
    pub(in crate::store) id: FileId,
    pub(in crate::store) target: TargetId,
    /// The hash of version, byte range and text, which the chunks of a passage in several targets have in common. `None`: the ranking
    /// does not need it.
    pub(in crate::store) passage: Option<i64>,
    pub(in crate::store) created_at: DateTime<Utc>,
    /// The factor of the boosts that it matches.
    pub(in crate::store) boost: Option<f64>,
}

/// The chunks of one vector leg with their similarity, or of several by their rank: similarities of different spaces do not
/// compare. `offset` candidates of earlier rounds come before.
pub(in crate::store) fn by_vector(legs: Vec<Vec<Near>>, offset: usize) -> Vec<Candidate> {
    let is_single = legs.len() == 1;
    let mut best: HashMap<ChunkId, Candidate> = HashMap::new();
    for leg in legs {
        for (place, near) in (offset..).zip(leg) {
            let score = if is_single { near.score } else { share(place) };
            let candidate = Candidate {
                chunk: Some(near.chunk_id),
                document: near.document,
                score,
                vector_score: Some(near.score),
                explanation: Explanation { vector_rank: Some(place + 1), ..Explanation::default() },
                ..Candidate::default()
            };
            match best.get(&near.chunk_id) {
                Some(known) if known.score >= score => {}
                _ => drop(best.insert(near.chunk_id, candidate)),
            }
        }
    }
    sorted(best.into_values().collect())
}

/// The chunks of the text leg.
pub(in crate::store) fn by_text(scored: &[(i64, f64)], offset: usize) -> Vec<Candidate> {
    let candidate = |(place, (document, score)): (usize, &(i64, f64))| Candidate {
        document: Some(*document),
        score: *score,
        text_score: Some(*score),
        explanation: Explanation { text_rank: Some(place + 1), ..Explanation::default() },
        ..Candidate::default()
    };
    (offset..).zip(scored).map(candidate).collect()
}

/// Both legs by reciprocal rank, each with its weight. Chunks that have an identifier as the query has it are a third list: a number as it was typed
/// means more than another with a common part.
pub(in crate::store) fn hybrid(
    vector: Vec<Candidate>,
    text: &[(i64, f64)],
    offset: usize,
    weights: Weights,
    is_exact: impl Fn(i64) -> bool,
) -> Vec<Candidate> {
    let ranks = ranks_of(&vector);
    let weighted =
        |(found, rank): (Candidate, usize)| Candidate { score: weights.vector * share(offset + rank), ..found };
    let mut fused: Vec<Candidate> = vector.into_iter().zip(ranks).map(weighted).collect();
    let places: HashMap<i64, usize> =
        fused.iter().enumerate().filter_map(|(place, found)| Some((found.document?, place))).collect();
    let mut exact = offset;
    for (place, (document, text_score)) in (offset..).zip(text) {
        let mut gain = weights.text * share(place);
        let has_identifier = is_exact(*document);
        if has_identifier {
            gain += weights.text * share(exact);
            exact += 1;
        }
        let found = match places.get(document) {
            Some(place) => &mut fused[*place],
            None => {
                fused.push(Candidate { document: Some(*document), ..Candidate::default() });
                fused.last_mut().expect("a candidate was added")
            }
        };
        found.score += gain;
        found.text_score = Some(*text_score);
        found.explanation.text_rank = Some(place + 1);
        found.explanation.has_identifier = has_identifier;
    }
    sorted(fused)
}

/// The place of each in its leg. Those of several spaces may share one.
fn ranks_of(vector: &[Candidate]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(vector.len());
    for (place, found) in vector.iter().enumerate() {
        let same = place > 0 && vector[place - 1].score == found.score;
        ranks.push(if same { ranks[place - 1] } else { place });
    }
    ranks
}

fn share(place: usize) -> f64 {
    1.0 / (FUSION_K + 1.0 + place as f64)
}

/// Best first; equal scores by words, then by document and chunk.
pub(in crate::store) fn sorted(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_by(|a, b| {
        let by_text = |found: &Candidate| found.text_score.unwrap_or_default();
        let by_score = b.score.total_cmp(&a.score).then_with(|| by_text(b).total_cmp(&by_text(a)));
        by_score.then_with(|| a.document.cmp(&b.document)).then_with(|| a.chunk.cmp(&b.chunk))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(number: i64, score: f64) -> Near {
        let id = format!("00000000-0000-7000-8000-{number:012}");
        Near { chunk_id: ChunkId(id.parse().unwrap()), document: Some(number), score, indexed: false }
    }

    const EQUAL: Weights = Weights { text: 1.0, vector: 1.0 };

    fn documents(found: &[Candidate]) -> Vec<i64> {
        found.iter().filter_map(|found| found.document).collect()
    }

    #[test]
    fn chunks_of_both_legs_are_before_those_of_one() {
        let vector = by_vector(vec![vec![near(1, 0.9), near(2, 0.8)]], 0);
        let fused = hybrid(vector, &[(3, 5.0), (2, 4.0)], 0, EQUAL, |_| false);
        assert_eq!(documents(&fused), [2, 3, 1]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-9 && fused[0].vector_score == Some(0.8));
        assert_eq!(fused[1].vector_score, None);
    }

    #[test]
    fn heavier_leg_decides_between_chunks_that_one_leg_found() {
        let order = |weights| {
            let vector = by_vector(vec![vec![near(1, 0.9), near(2, 0.8)]], 0);
            documents(&hybrid(vector, &[(3, 5.0), (4, 4.0)], 0, weights, |_| false))
        };
        assert_eq!(order(Weights { text: 0.1, vector: 0.9 }), [1, 2, 3, 4]);
        assert_eq!(order(Weights { text: 0.9, vector: 0.1 }), [3, 4, 1, 2]);
    }

    #[test]
    fn chunk_with_the_identifier_as_typed_is_first() {
        let vector = by_vector(vec![vec![near(1, 0.9), near(2, 0.8), near(3, 0.7)]], 0);
        let fused = hybrid(vector, &[(3, 9.0), (1, 2.0)], 0, EQUAL, |document| document == 3);
        assert_eq!(documents(&fused)[0], 3);
    }

    #[test]
    fn chunks_of_several_spaces_are_ordered_by_rank() {
        let found = by_vector(vec![vec![near(1, 0.2), near(2, 0.1)], vec![near(3, 0.9), near(1, 0.8)]], 0);
        assert_eq!(documents(&found), [1, 3, 2]);
        assert_eq!(found[0].vector_score, Some(0.2));
    }

    #[test]
    fn candidates_of_a_later_round_rank_behind_those_before() {
        let first = hybrid(by_vector(vec![vec![near(1, 0.9)]], 0), &[(2, 5.0)], 0, EQUAL, |_| false);
        let later = hybrid(by_vector(vec![vec![near(3, 0.5)]], 2), &[(3, 1.0)], 2, EQUAL, |_| false);
        assert_eq!(later[0].explanation.vector_rank, Some(3));
        assert!(share(2) < first[1].score && later[0].score == 2.0 * share(2));
    }
}
