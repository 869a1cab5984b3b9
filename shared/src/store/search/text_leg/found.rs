//! The chunks that the words of a query find, by their scores (BM25).

use std::{ops::Range, sync::Arc};

use nvisy_lexical::{
    analysis::unit_of,
    best,
    documents::{Documents, WordDocuments},
    highlight::Matcher,
    postings::Posting,
    query::{Phrase, Word},
    rank::{Alternatives, Scores, Weighted, merge},
};

use super::{Packed, Scope, documents, rows, word_documents, word_match::QueryWord};

/// An identifier that more than this share of the chunks has is a word like others.
const MAX_IDENTIFIER_SHARE: f64 = 0.05;
/// Chunks with a word that are compared with those of other words of a phrase.
const MAX_COMPARED_DOCUMENTS: usize = 200_000;

/// The chunks that words find.
#[derive(Debug, Default)]
pub(in crate::store) struct Found {
    pub(super) scored: Scored,
    /// The words of the query, with or without chunks.
    pub(super) words: Vec<QueryWord>,
    /// The postings of each word of required phrases, and those of excluded words.
    pub(super) required: Vec<Documents>,
    excluded: Vec<Documents>,
    /// Whether more words begin with an excluded prefix than `excluded` has.
    pub(in crate::store) has_open_exclusions: bool,
    /// The chunks with each identifier as the query has it.
    exact: Vec<Documents>,
    /// Finds the words in texts.
    pub(super) matcher: Matcher,
    /// Finds the synonyms in texts.
    pub(super) synonyms: Matcher,
    /// The synonyms of several words, by their numbers in the scores.
    pub(super) phrases: Vec<Phrase>,
    /// The chunks in the languages whose texts keep accents.
    pub(super) accented: Documents,
    /// The parts of [`Scored::All`] with the places of their words, where accents matter.
    pub(super) parts: Vec<(Vec<usize>, Alternatives)>,
}

/// How chunks get their scores.
#[derive(Debug)]
pub(super) enum Scored {
    /// By a sum over words: the best chunks are found without the scores of the others.
    Best(Vec<FoundWord>),
    /// By the best of words and their synonyms: all chunks have been scored.
    All(Scores),
}

impl Default for Scored {
    fn default() -> Self {
        Self::Best(Vec::new())
    }
}

/// A word that some searched chunk has.
#[derive(Debug)]
pub(super) struct FoundWord {
    /// Its place among the words.
    pub(super) place: usize,
    pub(super) documents: WordDocuments,
    /// Its rarity times its weight.
    pub(super) impact: f64,
}

impl Scope {
    /// Prepares the scores of words, of which `synonyms` are not the query's own. Those of words without synonyms are sums, of
    /// which only the highest are computed.
    pub(super) fn score(&self, words: &[Word], synonyms: Range<usize>, excluded: &[Phrase], packed: &Packed) -> Found {
        let mut found = Found::new(self);
        for (place, word) in words.iter().enumerate() {
            let is_synonym = synonyms.contains(&place);
            let matcher = if is_synonym { &mut found.synonyms } else { &mut found.matcher };
            matcher.add(place, word);
        }
        found.words = self.query_words(words, &synonyms, packed);
        found.scored = if self.synonyms.is_empty() {
            let words = words.iter().enumerate();
            Scored::Best(words.filter_map(|(place, word)| self.found_word(place, word, packed)).collect())
        } else {
            Scored::All(self.score_all(words, synonyms, packed, &mut found))
        };
        found.required = self.required(packed);
        for phrase in excluded.iter().filter(|phrase| phrase.places.len() == 1) {
            found.excluded.push(documents(&phrase.places[0], packed));
        }
        for identifier in &self.conditions.identifiers {
            let documents = documents(std::slice::from_ref(identifier), packed);
            let count = documents.live_count(&self.dead);
            if count as f64 <= (self.totals.documents as f64 * MAX_IDENTIFIER_SHARE).max(3.0) {
                found.exact.push(documents);
            }
        }
        found
    }

    /// The postings of each word of the required phrases.
    pub(super) fn required(&self, packed: &Packed) -> Vec<Documents> {
        let phrases = self.conditions.required.iter().filter(|phrase| !phrase.is_prefix);
        phrases.flat_map(|phrase| &phrase.places).map(|terms| documents(terms, packed)).collect()
    }

    /// A word whose postings are read where they are needed. `None`: no searched chunk has it.
    fn found_word(&self, place: usize, word: &Word, packed: &Packed) -> Option<FoundWord> {
        let documents = word_documents(&word.terms, packed);
        let frequency = documents.live_count(&self.dead);
        let impact = word.weight * self.totals.rarity(frequency);
        (frequency > 0).then_some(FoundWord { place, documents, impact })
    }

    /// Scores all chunks of words, some of which have synonyms.
    fn score_all(&self, words: &[Word], synonyms: Range<usize>, packed: &Packed, found: &mut Found) -> Scores {
        let mut scores = Scores::default();
        for (place, word) in words.iter().enumerate() {
            if synonyms.contains(&place) || self.has_synonyms_of(place) {
                continue;
            }
            let postings = self.merged(&word.terms, packed);
            if postings.is_empty() {
                continue;
            }
            scores.add(&postings, word.weight, &self.totals);
            if !self.conditions.accents.is_folded() {
                let own = vec![Weighted { postings, weight: word.weight }];
                found.parts.push((vec![place], Alternatives { own, ..Alternatives::default() }));
            }
        }
        self.score_synonyms(words, synonyms, packed, found, &mut scores);
        scores
    }

    /// The chunks with one of the terms.
    pub(super) fn merged(&self, terms: &[String], packed: &Packed) -> Vec<Posting> {
        merge(rows(terms, packed).map(Arc::as_ref), &self.dead)
    }
}

impl Found {
    fn new(scope: &Scope) -> Self {
        let conditions = &scope.conditions;
        let matcher = Matcher::new(conditions.languages.clone()).with_accents(conditions.accents.clone());
        Self { synonyms: matcher.clone(), matcher, ..Self::default() }
    }

    /// For a search without words, which only marks them.
    pub(in crate::store) fn of_words(scope: &Scope) -> Self {
        let mut found = Self::new(scope);
        let words = scope.conditions.words.iter().enumerate();
        words.for_each(|(place, word)| found.matcher.add(place, word));
        found
    }

    /// The best chunks, at most `limit`: document and score, the highest that is possible where texts decide on phrases.
    pub(in crate::store) fn best(&self, scope: &Scope, limit: usize) -> Vec<(i64, f64)> {
        let is_unit_allowed = |unit: i64| scope.matching_units.as_ref().is_none_or(|units| units.contains(&unit));
        let accents = if self.excluded.is_empty() { None } else { self.accent_check(scope) };
        // Where accents can matter, the text decides on excluded words.
        let is_by_text = |document: i64| accents.as_ref().is_some_and(|accents| accents.needs_text(document));
        // Phrases are looked for in texts.
        let is_allowed = |document: i64| {
            self.required.iter().all(|documents| documents.contains(document))
                && (!self.excluded.iter().any(|documents| documents.contains(document)) || is_by_text(document))
        };
        match &self.scored {
            Scored::Best(words) => {
                let words = words.iter().map(|word| best::Word { documents: &word.documents, impact: word.impact });
                let is_unit_live = |unit| !scope.dead.has_unit(unit) && is_unit_allowed(unit);
                let is_live = |document| !scope.dead.has_document(document) && is_allowed(document);
                best::best(&words.collect::<Vec<_>>(), &scope.totals, limit, &is_unit_live, &is_live)
            }
            // Without dead chunks from the beginning.
            Scored::All(scores) => {
                scores.best(limit, |document| is_unit_allowed(unit_of(document)) && is_allowed(document))
            }
        }
    }

    /// The chunks that have all words of the required phrases; `None`: there are no phrases, or more than `limit` chunks.
    pub(in crate::store) fn with_phrases(&self, scope: &Scope, limit: usize) -> Option<Vec<i64>> {
        let rarest = self.required.iter().map(|documents| (documents.live_count(&scope.dead), documents));
        let (count, rarest) = rarest.min_by_key(|(count, _)| *count)?;
        if count > MAX_COMPARED_DOCUMENTS {
            return None;
        }
        let units = scope.matching_units.as_ref();
        let matching = rarest.live(&scope.dead).filter(|document| {
            units.is_none_or(|units| units.contains(&unit_of(*document)))
                && self.required.iter().all(|documents| documents.contains(*document))
        });
        let found: Vec<i64> = matching.take(limit + 1).collect();
        (found.len() <= limit).then_some(found)
    }

    /// Whether a found chunk has an identifier as the query has it.
    pub(in crate::store) fn is_exact(&self, document: i64) -> bool {
        self.exact.iter().any(|documents| documents.contains(document))
    }
}
