//! Searches: the query, the files to search, and the controls of relevance.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use nvisy_lexical::{Accents, Language};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{facets::FacetField, visibility::Visibility};
use crate::{
    domain::{
        filter::{Filter, FilterError},
        space::Quantisation,
    },
    id::{ChunkId, CollectionId, ConnectionId, FileId, SpaceId},
};

/// Hits, or files of a grouped search, that the pages of a search show together.
pub const MAX_DEPTH: usize = 1_000;

/// The ranking of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning and by words, fused by rank.
    #[default]
    Hybrid,
    /// By meaning.
    Vector,
    /// By words.
    Text,
}

impl SearchMode {
    /// Its name in responses and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Vector => "vector",
            Self::Text => "text",
        }
    }
}

/// A search. The default is a hybrid search of all collections for nothing.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// The ranking.
    pub mode: SearchMode,
    /// The words, with operators (`"phrase"`, `-word`, `prefix*`). [`SearchMode::Vector`] highlights the words, and heeds phrases
    /// and excluded words.
    pub text: String,
    /// The language of the words; `None`: it is detected, or that of the chunks.
    pub language: Option<Language>,
    /// How the accents of words are compared.
    pub accents: Accents,
    /// The query in each space to search; [`SearchMode::Text`] ignores them.
    pub vectors: Vec<SpaceVector>,
    /// The collections to search; `None`: all of the workspace.
    pub collections: Option<Vec<CollectionId>>,
    /// Those of them to search in a space; without an entry: all ([`collections_by_space`](super::collections_by_space())).
    pub collections_by_space: HashMap<SpaceId, Vec<CollectionId>>,
    /// Limits the search to matching files.
    pub filter: Option<Filter>,
    /// The time of which passages are found.
    pub visibility: Visibility,
    /// Maximum number of hits; of a grouped search, of files.
    pub limit: i64,
    /// Groups the hits by file, with at most so many of each.
    pub per_file: Option<usize>,
    /// How much each leg of a hybrid search counts; `None`: as the best hits by words suggest.
    pub weights: Option<Weights>,
    /// Ranks the fused hits again.
    pub rerank: Option<Rerank>,
    /// How a model has scored chunks, which come before all others.
    pub model_scores: HashMap<ChunkId, f64>,
    /// The least scores of a leg's hits.
    pub threshold: Threshold,
    /// Prefers new files.
    pub recency: Option<Recency>,
    /// Prefers files that match filters.
    pub boosts: Vec<Boost>,
    /// Whether the synonyms of the workspace are not applied.
    pub skip_synonyms: bool,
    /// Files that come first if they match, in this order, with their best chunks only.
    pub pinned: Vec<FileId>,
    /// Files that are not found.
    pub hidden: Vec<FileId>,
    /// Chunks that a search by vector does not find.
    pub hidden_chunks: Vec<ChunkId>,
    /// The hits of earlier pages, or the files of a grouped search, which are not found again.
    pub seen: Seen,
    /// The text around a hit to read.
    pub expand: Option<Expand>,
    /// The fields whose values are counted over the files that match the filter.
    pub facets: Vec<FacetField>,
    /// Whether the vectors are compared exactly, too, to measure the recall of the result.
    pub verify: bool,
}

impl SearchQuery {
    /// Whether ranking needs the file of each candidate.
    pub(super) fn needs_files(&self) -> bool {
        let has_order = self.recency.is_some() || !self.boosts.is_empty() || !self.model_scores.is_empty();
        self.per_file.is_some() || has_order || !self.seen.is_empty() || !self.pinned.is_empty()
    }

    /// The collections to search in a space; `None`: all of the workspace.
    pub(super) fn collections_of(&self, space: SpaceId) -> Option<&[CollectionId]> {
        self.collections_by_space.get(&space).or(self.collections.as_ref()).map(Vec::as_slice)
    }

    /// The number of hits, or of files.
    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or_default()
    }
}

/// The query in one space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceVector {
    /// The space.
    pub space: SpaceId,
    /// What the index of the space keeps of a vector. With the wrong one, a search reads all vectors of the space.
    pub quantisation: Quantisation,
    /// A unit vector of the space.
    pub vector: Vec<f32>,
}

/// How much each leg of a hybrid search counts: factors of the scores of their ranks. Only their ratio changes the order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// The search by words.
    pub text: f64,
    /// The search by vector.
    pub vector: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { text: 1.0, vector: 1.0 }
    }
}

/// A second ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rerank {
    /// By the stored vectors of the best hits and their neighbours. Searches of several spaces stay as they are.
    Neighbours,
    /// By a model that reads query and passage.
    Model(ModelRerank),
}

/// A ranking by a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRerank {
    /// The model.
    pub model: RerankModel,
    /// The number of best chunks that it scores.
    pub candidates: u32,
}

/// A model that scores passages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerankModel {
    /// That of the operator.
    Local,
    /// One of a connection.
    Connection {
        /// The connection.
        connection: ConnectionId,
        /// Another model than the connection's own.
        model: Option<String>,
    },
}

/// The least scores of hits, leg by leg: a leg does not find chunks below its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Cosine similarity.
    pub vector: Option<f64>,
    /// BM25.
    pub text: Option<f64>,
}

/// A preference for new files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recency {
    /// The age in days at which a file has lost half of what age can take.
    pub half_life_days: f64,
    /// The share of the score that age can take, 0 to 1.
    pub weight: f64,
}

impl Recency {
    /// The factor of a file's score.
    pub(super) fn factor(&self, created_at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
        let days = (now - created_at).as_seconds_f64().max(0.0) / 86_400.0;
        1.0 - self.weight + self.weight * (-days / self.half_life_days).exp2()
    }
}

/// A preference for files, or against them.
#[derive(Clone, Debug, PartialEq)]
pub struct Boost {
    /// The files.
    pub filter: Filter,
    /// The factor of their scores.
    pub factor: f64,
}

/// A boost as the client gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoostRequest {
    /// The filter of the files.
    pub filter: Json,
    /// The factor of their scores, 0.1 to 10.
    pub factor: f64,
}

impl BoostRequest {
    /// Reads the filter.
    ///
    /// # Errors
    /// [`FilterError`] for its first invalid part.
    pub fn parse(&self) -> Result<Boost, FilterError> {
        Ok(Boost { filter: Filter::parse(&self.filter)?, factor: self.factor })
    }
}

/// The smallest and the largest factor of several boosts together.
const BOOST_RANGE: (f64, f64) = (0.01, 100.0);

/// The factor of a file's score, of which the boosts match that are `true`; `None`: none does.
pub(super) fn boost_factor(boosts: &[Boost], matching: &[bool]) -> Option<f64> {
    let factors = boosts.iter().zip(matching).filter(|(_, matches)| **matches).map(|(boost, _)| boost.factor);
    let product = factors.reduce(|product, factor| product * factor)?;
    Some(product.clamp(BOOST_RANGE.0, BOOST_RANGE.1))
}

/// A score times a factor; a negative one becomes lower by division.
pub(super) fn multiplied(score: f64, factor: f64) -> f64 {
    if score < 0.0 { score / factor.max(f64::EPSILON) } else { score * factor }
}

/// Marks of passages or files that earlier pages have shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(HashSet<SeenMark>);

/// Six random bytes of an id, or of the hash of a passage: two of a few thousand have the same mark once in ten million searches.
pub type SeenMark = [u8; 6];

impl Seen {
    /// Of these marks.
    #[must_use]
    pub fn new(marks: HashSet<SeenMark>) -> Self {
        Self(marks)
    }

    /// The mark of a file.
    #[must_use]
    pub fn file_mark(file: FileId) -> SeenMark {
        let mut mark = SeenMark::default();
        mark.copy_from_slice(&file.0.as_bytes()[10..]);
        mark
    }

    /// The mark of a [passage](super::Hit::passage).
    #[must_use]
    pub fn passage_mark(passage: i64) -> SeenMark {
        let mut mark = SeenMark::default();
        mark.copy_from_slice(&passage.to_be_bytes()[2..]);
        mark
    }

    /// The marks.
    pub fn iter(&self) -> impl Iterator<Item = &SeenMark> {
        self.0.iter()
    }

    /// The number of hits or files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the first page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has_file(&self, file: FileId) -> bool {
        self.0.contains(&Self::file_mark(file))
    }

    pub(super) fn has_passage(&self, passage: i64) -> bool {
        self.0.contains(&Self::passage_mark(passage))
    }
}

/// The text around a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expand {
    /// So many chunks before and after it.
    Neighbours(u8),
    /// The chunks of its section and of the sections below it.
    Section,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn recency_halves_its_share_of_the_score_with_each_half_life() {
        let (now, recency) = (clock::now(), Recency { half_life_days: 10.0, weight: 0.4 });
        let factor = |days| recency.factor(now - chrono::Duration::days(days), now);
        assert_eq!(factor(0), 1.0);
        assert!((factor(10) - 0.8).abs() < 1e-9 && (factor(20) - 0.7).abs() < 1e-9);
        assert_eq!(factor(-5), 1.0, "a file of the future is new");
    }

    #[test]
    fn factors_of_matching_boosts_are_multiplied_within_bounds() {
        let boosts = [2.0, 0.5, 10.0, 10.0, 10.0, 0.1].map(|factor| Boost { filter: Filter::And(Vec::new()), factor });
        let factor = |matching: [bool; 6]| boost_factor(&boosts, &matching);
        assert_eq!(factor([false; 6]), None);
        assert_eq!(factor([true, false, false, false, false, false]), Some(2.0));
        assert_eq!(factor([true, true, false, false, false, false]), Some(1.0));
        assert_eq!(factor([true, false, true, true, true, false]), Some(100.0));
        let against = [0.1; 3].map(|factor| Boost { filter: Filter::And(Vec::new()), factor });
        assert_eq!(boost_factor(&against, &[true; 3]), Some(0.01));
    }

    #[test]
    fn seen_files_and_passages_are_known_by_their_marks() {
        let (seen, other) = (FileId::new(), FileId::new());
        let marks = Seen::new(HashSet::from([Seen::file_mark(seen), Seen::passage_mark(-7)]));
        assert!(marks.has_file(seen) && !marks.has_file(other));
        assert!(marks.has_passage(-7) && !marks.has_passage(7));
    }
}
