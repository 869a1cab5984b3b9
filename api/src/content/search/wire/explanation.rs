//! The explanation of a search and of its hits.

use std::{collections::BTreeSet, time::Duration};

use nvisy_shared::store::search::{Hit, LegWeights, MARK_END, MARK_START, SearchResult};
use schemars::JsonSchema;
use serde::Serialize;

/// Words of a hit's explanation.
const MAX_WORDS: usize = 50;

/// The work of a search.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchExplanation {
    /// Rounds of reading: the first, and those that followed because it found too little.
    rounds: usize,
    /// The passages that were compared in the last round.
    candidates: usize,
    /// The weights of the two searches in the mode `hybrid`, and their reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    fusion: Option<FusionExplanation>,
    /// The times of the steps.
    timings: Timings,
}

/// How much each search counts in a hybrid search. Without `weights` of the request, `textWeight` is `coverage` to the power of 2
/// divided by `matchedWords`, and `vectorWeight` is 1 less 1 divided by `completeHits`; both at least 0.01.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FusionExplanation {
    /// The weight of the search by words.
    text_weight: f64,
    /// The weight of the search by vector.
    vector_weight: f64,
    /// The share of the query that the best hit by words has, 0 to 1: of its words, each counts by its rarity.
    coverage: f64,
    /// The number of different words of the query that this hit has.
    matched_words: usize,
    /// How many of the ten best hits by words have all words of the query; 0 where the best one lacks a word.
    complete_hits: usize,
}

impl From<LegWeights> for FusionExplanation {
    fn from(fused: LegWeights) -> Self {
        Self {
            text_weight: fused.weights.text,
            vector_weight: fused.weights.vector,
            coverage: fused.words.coverage,
            matched_words: fused.words.words,
            complete_hits: fused.words.complete_hits,
        }
    }
}

/// Times in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Timings {
    /// The embedding of the query.
    embedding_ms: f64,
    /// Finding the passages for the model of `rerank`, and its scores.
    reranking_ms: f64,
    /// The statements that find passages, and their ranking.
    ranking_ms: f64,
    /// Reading the hits, and the text around them.
    reading_ms: f64,
    /// Marking words in the hits.
    highlighting_ms: f64,
    /// Counting facets.
    facets_ms: f64,
    /// The exact search of `verify`.
    verifying_ms: f64,
}

impl SearchExplanation {
    pub fn new(result: &SearchResult, embedding: Duration, reranking: Duration) -> Self {
        let work = &result.work;
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            rounds: work.rounds,
            candidates: work.candidates,
            fusion: result.leg_weights.map(Into::into),
            timings: Timings {
                embedding_ms: millis(embedding),
                reranking_ms: millis(reranking),
                ranking_ms: millis(work.ranking),
                reading_ms: millis(work.reading),
                highlighting_ms: millis(work.highlighting),
                facets_ms: millis(work.facets),
                verifying_ms: millis(work.verifying),
            },
        }
    }
}

/// How a hit came to its place.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HitExplanation {
    /// The reasons.
    reasons: Vec<Reason>,
    /// Place and score in the search by vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<LegPlace>,
    /// Place and score in the search by words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<LegPlace>,
    /// The matched words as they stand in the passage, in lower case.
    words: Vec<String>,
    /// Those of them that are synonyms of words of the query.
    synonyms: Vec<String>,
    /// The place before `rerank`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank_before_rerank: Option<usize>,
    /// The factor of the file's age.
    #[serde(skip_serializing_if = "Option::is_none")]
    recency: Option<f64>,
    /// The factor of the boosts whose filters the file matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    boost: Option<f64>,
}

/// The place of a hit in a search.
#[derive(Debug, Serialize, JsonSchema)]
struct LegPlace {
    /// The place, from 1.
    rank: usize,
    /// The score.
    score: f64,
}

/// A reason of a hit's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The meaning is similar.
    Meaning,
    /// Words of the query, or synonyms of them, are in the passage.
    Words,
    /// Synonyms of words of the query are in the passage.
    Synonym,
    /// An identifier is in the passage as the query has it.
    Identifier,
    /// `rerank` has taken it by its neighbours, or changed its score.
    Neighbours,
    /// The model of `rerank` has scored it.
    Model,
    /// The age of the file has changed the score.
    Recency,
    /// Boosts have changed the score.
    Boost,
    /// The file is pinned.
    Pinned,
}

impl HitExplanation {
    pub fn new(hit: &Hit) -> Self {
        let explanation = &hit.explanation;
        let place = |rank: Option<usize>, score: Option<f64>| Some(LegPlace { rank: rank?, score: score? });
        let reasons = [
            (explanation.is_pinned, Reason::Pinned),
            (hit.vector_score.is_some(), Reason::Meaning),
            (hit.text_score.is_some(), Reason::Words),
            (hit.text_score.is_some() && !explanation.synonyms.is_empty(), Reason::Synonym),
            (explanation.has_identifier, Reason::Identifier),
            (explanation.is_reranked, Reason::Neighbours),
            (explanation.model_score.is_some(), Reason::Model),
            (explanation.recency.is_some(), Reason::Recency),
            (explanation.boost.is_some(), Reason::Boost),
        ];
        Self {
            reasons: reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect(),
            vector: place(explanation.vector_rank, hit.vector_score),
            text: place(explanation.text_rank, hit.text_score),
            words: marked_words(&hit.marked_text),
            synonyms: in_lower_case(explanation.synonyms.iter().map(String::as_str)),
            rank_before_rerank: explanation.rank_before,
            recency: explanation.recency,
            boost: explanation.boost,
        }
    }
}

fn marked_words(marked: &str) -> Vec<String> {
    in_lower_case(marked.split(MARK_START).skip(1).filter_map(|rest| rest.split(MARK_END).next()))
}

/// The words, each once.
fn in_lower_case<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.map(str::to_lowercase).collect::<BTreeSet<_>>().into_iter().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_between_marks_each_once() {
        let marked =
            format!("The {MARK_START}Tide{MARK_END} and {MARK_START}tide{MARK_END}, {MARK_START}ebb{MARK_END}.");
        assert_eq!(marked_words(&marked), ["ebb", "tide"]);
        assert_eq!(marked_words("none"), [""; 0]);
    }
}
