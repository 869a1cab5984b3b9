//! How much of a query the best hits by words have, which tells how much a hybrid search can rely on them.

use std::ops::Range;

use nvisy_lexical::{documents::WordDocuments, query::Word};

use super::{Found, Packed, Scope, word_documents};

/// Best hits that are compared.
const COMPARED_HITS: usize = 10;

/// What the best hits by words have of the query.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WordMatch {
    /// The share of the query that the best hit has, 0 to 1: of its words, each counts by its rarity.
    pub coverage: f64,
    /// The number of different words of the query that the best hit has.
    pub words: usize,
    /// How many of the ten best hits have all words, the best one included; 0: it lacks one.
    pub complete_hits: usize,
}

/// A word of the query with the chunks that have it, or synonyms of it.
#[derive(Debug)]
pub(super) struct QueryWord {
    /// Its rarity times its weight.
    impact: f64,
    /// Words and phrases of which a chunk has one, each by its places. Of a phrase, the postings tell the words alone.
    alternatives: Vec<Vec<WordDocuments>>,
}

impl QueryWord {
    fn is_in(&self, document: i64) -> bool {
        let has = |word: &WordDocuments| word.posting(document).is_some();
        self.alternatives.iter().any(|places| places.iter().all(has))
    }
}

impl Scope {
    /// The words that count for the coverage: those of the query, of which `synonyms` are none.
    pub(super) fn query_words(&self, words: &[Word], synonyms: &Range<usize>, packed: &Packed) -> Vec<QueryWord> {
        let own = words.iter().enumerate().filter(|(place, word)| !synonyms.contains(place) && word.weight > 0.0);
        own.map(|(place, word)| {
            let documents = word_documents(&word.terms, packed);
            let impact = word.weight * self.totals.rarity(documents.live_count(&self.dead));
            let groups = self.synonyms.iter().filter(|group| group.words.contains(&place));
            let phrases = groups.flat_map(|group| &group.synonyms).map(|synonym| &synonym.phrase.places);
            let phrases =
                phrases.map(|places| places.iter().map(|terms| word_documents(terms, packed)).collect::<Vec<_>>());
            QueryWord { impact, alternatives: std::iter::once(vec![documents]).chain(phrases).collect() }
        })
        .collect()
    }
}

impl Found {
    /// What the best hits by words, which are in their order, have of the query.
    pub(in crate::store) fn word_match(&self, best: &[(i64, f64)]) -> WordMatch {
        let Some((first, _)) = best.first() else { return WordMatch::default() };
        let (mut covered, mut total, mut words) = (0.0, 0.0, 0);
        for word in &self.words {
            total += word.impact;
            if word.is_in(*first) {
                covered += word.impact;
                words += 1;
            }
        }
        let has_all = |(document, _): &&(i64, f64)| self.words.iter().all(|word| word.is_in(*document));
        let is_complete = words > 0 && words == self.words.len();
        let complete_hits = if is_complete { best.iter().take(COMPARED_HITS).filter(has_all).count() } else { 0 };
        let coverage = if total > 0.0 { covered / total } else { 0.0 };
        WordMatch { coverage, words, complete_hits }
    }
}
