//! Synonyms of a query's words: their sets are looked up by the terms of the words, and their chunks are scored with those of
//! the words.

use std::ops::Range;

use nvisy_lexical::{
    accents::Spelling,
    highlight::KnownWords,
    query::{Phrase, Query, Word},
    rank::{Alternatives, Scores, Weighted, intersect},
    synonyms::PlainWords,
};

use super::{Found, Packed, Scope, found::Scored};
use crate::store::{Conn, Result, synonyms};

impl Scope {
    /// Adds the synonyms of the query's words that the workspace has. Without any, nothing is read.
    pub(in crate::store) async fn add_synonyms(&mut self, conn: &impl Conn, query: &Query) -> Result<()> {
        if !self.has_synonyms {
            return Ok(());
        }
        let plain = PlainWords::of(query, &self.conditions.languages);
        let terms = plain.terms();
        if !terms.is_empty() {
            let sets = synonyms::matching(conn, self.workspace, terms).await?;
            self.synonyms = plain.groups(&self.conditions, &sets);
        }
        Ok(())
    }

    fn synonym_phrases(&self) -> impl Iterator<Item = (&Phrase, f64)> {
        let synonyms = self.synonyms.iter().flat_map(|group| &group.synonyms);
        synonyms.map(|synonym| (&synonym.phrase, synonym.weight))
    }

    /// The synonyms of one word, as words. They have no compounds of their own.
    pub(super) fn synonym_words(&self) -> impl Iterator<Item = Word> {
        self.synonym_phrases().filter(|(phrase, _)| phrase.places.len() == 1).map(|(phrase, weight)| Word {
            terms: phrase.places[0].clone(),
            is_prefix: phrase.is_prefix,
            weight,
            is_plain: false,
            // With any accents, as entries of sets are compared.
            spelling: Spelling::default(),
        })
    }

    /// The terms of synonyms of several words.
    pub(super) fn synonym_terms(&self) -> impl Iterator<Item = &String> {
        let phrases = self.synonym_phrases().filter(|(phrase, _)| phrase.places.len() > 1);
        phrases.flat_map(|(phrase, _)| phrase.places.iter().flatten())
    }

    /// Whether a word of the query has synonyms; then its score is not a sum of its own.
    pub(super) fn has_synonyms_of(&self, word: usize) -> bool {
        self.synonyms.iter().any(|group| group.words.contains(&word))
    }

    /// Scores the words that have synonyms, of which `at` are those of one word among the words.
    pub(super) fn score_synonyms(
        &self,
        words: &[Word],
        at: Range<usize>,
        packed: &Packed,
        found: &mut Found,
        scores: &mut Scores,
    ) {
        let weighted = |word: &Word| Weighted { postings: self.merged(&word.terms, packed), weight: word.weight };
        let mut single = words[at].iter();
        for group in &self.synonyms {
            let mut alternatives = Alternatives {
                own: group.words.iter().map(|place| weighted(&words[*place])).collect(),
                ..Alternatives::default()
            };
            for synonym in &group.synonyms {
                let phrase = &synonym.phrase;
                if phrase.places.len() == 1 {
                    alternatives.words.extend(single.next().map(weighted));
                    continue;
                }
                let places: Vec<_> = phrase.places.iter().map(|terms| self.merged(terms, packed)).collect();
                let other = Weighted { postings: intersect(&places), weight: synonym.weight };
                alternatives.phrases.push((found.phrases.len(), other));
                found.phrases.push(phrase.clone());
                found.synonyms.add_phrase(phrase.clone());
            }
            scores.add_best(&alternatives, &self.totals);
            if !self.conditions.accents.is_folded() {
                found.parts.push((group.words.clone(), alternatives));
            }
        }
    }
}

impl Found {
    /// Whether the texts of chunks tell which phrases they have.
    pub(in crate::store) fn has_phrases(&self) -> bool {
        self.all_scores().is_some_and(Scores::has_open)
    }

    /// Whether the text of a chunk decides on its score.
    pub(in crate::store) fn needs_text(&self, document: i64) -> bool {
        self.all_scores().is_some_and(|scores| scores.is_open(document))
    }

    /// The score of a chunk with this text, of which the highest possible one is known.
    pub(in crate::store) fn score_of(&self, scope: &Scope, (document, highest): (i64, f64), text: &str) -> f64 {
        let languages = &scope.conditions.languages;
        let has = |phrase: usize| self.phrases[phrase].is_in(text, languages);
        self.all_scores().map_or(highest, |scores| scores.score(document, has))
    }

    fn all_scores(&self) -> Option<&Scores> {
        match &self.scored {
            Scored::Best(_) => None,
            Scored::All(scores) => Some(scores),
        }
    }

    /// The matched words of a text, and those of them that are synonyms. `known` has those of other texts.
    pub(in crate::store) fn matches(
        &self,
        text: &str,
        known: &mut (KnownWords, KnownWords),
    ) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        let own = self.matcher.find_with(&mut known.0, text);
        let mut synonyms = self.synonyms.find_with(&mut known.1, text);
        let overlaps = |range: &Range<usize>| own.iter().any(|own| own.start < range.end && range.start < own.end);
        synonyms.retain(|range| !overlaps(range));
        (own, synonyms)
    }
}
