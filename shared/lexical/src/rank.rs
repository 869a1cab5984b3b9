//! Scores documents by BM25.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    analysis::unit_of,
    postings::{Posting, unpack},
};

/// How soon more occurrences of a word add nothing; the usual value.
pub const K1: f64 = 1.2;
/// How much the length of a document counts; the usual value.
pub const B: f64 = 0.75;

/// The documents that are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Their number.
    pub documents: u64,
    /// The number of all their words.
    pub words: u64,
}

impl Totals {
    /// The rarity of a word that `frequency` documents have.
    #[must_use]
    pub fn rarity(&self, frequency: usize) -> f64 {
        let (documents, frequency) = (self.documents as f64, frequency as f64);
        // Documents that are published meanwhile must not make a frequent word negative.
        (1.0 + (documents - frequency + 0.5).max(0.5) / (frequency + 0.5)).ln()
    }

    fn mean_length(&self) -> f64 {
        if self.documents == 0 { 1.0 } else { (self.words as f64 / self.documents as f64).max(1.0) }
    }
}

/// The documents of a word: those of all its terms, each with the highest frequency of them.
#[must_use]
pub fn merge<'a>(packed: impl Iterator<Item = &'a [u8]>, dead_units: &FxHashSet<i64>) -> Vec<Posting> {
    let mut merged: Vec<Posting> = Vec::new();
    let mut last = None;
    let (mut unit, mut is_dead) = (None, false);
    let mut sorted = true;
    for bytes in packed {
        for posting in unpack(bytes) {
            let of = unit_of(posting.document);
            if unit != Some(of) {
                (unit, is_dead) = (Some(of), dead_units.contains(&of));
            }
            if !is_dead {
                sorted &= last.is_none_or(|last| last < posting.document);
                last = Some(posting.document);
                merged.push(posting);
            }
        }
    }
    if !sorted {
        // The highest frequency of a document comes first.
        merged.sort_by(|a, b| a.document.cmp(&b.document).then(b.frequency.cmp(&a.frequency)));
        merged.dedup_by_key(|posting| posting.document);
    }
    merged
}

/// The scores of documents.
#[derive(Debug, Default)]
pub struct Scores {
    scores: FxHashMap<i64, f64>,
}

impl Scores {
    /// Adds a word that occurs `weight` times in the query.
    pub fn add(&mut self, postings: &[Posting], weight: f64, totals: &Totals) {
        let rarity = weight * totals.rarity(postings.len());
        let mean_length = totals.mean_length();
        self.scores.reserve(postings.len().saturating_sub(self.scores.len()));
        for posting in postings {
            let frequency = f64::from(posting.frequency);
            let length = f64::from(posting.length) / mean_length;
            let share = frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * length));
            *self.scores.entry(posting.document).or_default() += rarity * share;
        }
    }

    /// The documents that `allowed` accepts, best first, at most `limit`; equal scores by number.
    pub fn best(&self, limit: usize, allowed: impl Fn(i64) -> bool) -> Vec<(i64, f64)> {
        let mut best: Vec<(i64, f64)> =
            self.scores.iter().filter(|(document, _)| allowed(**document)).map(|(d, s)| (*d, *s)).collect();
        let order = |a: &(i64, f64), b: &(i64, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if best.len() > limit {
            best.select_nth_unstable_by(limit, order);
            best.truncate(limit);
        }
        best.sort_unstable_by(order);
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postings::pack;

    fn posting(document: i64, frequency: u32, length: u32) -> Posting {
        Posting { document, frequency, length }
    }

    #[test]
    fn document_with_both_words_is_before_a_short_one_with_one() {
        let totals = Totals { documents: 6, words: 580 };
        let mut scores = Scores::default();
        scores.add(&[posting(1, 1, 170), posting(2, 2, 170), posting(5, 1, 3)], 1.0, &totals);
        scores.add(&[posting(1, 1, 170), posting(2, 2, 170), posting(4, 1, 1)], 1.0, &totals);
        let best: Vec<_> = scores.best(10, |_| true).into_iter().map(|(document, _)| document).collect();
        assert_eq!(best, [2, 4, 5, 1]);
        assert_eq!(scores.best(1, |document| document != 2)[0].0, 4);
    }

    #[test]
    fn terms_of_a_word_count_once_in_a_document() {
        let forms = [pack(&[posting(1, 1, 9), posting(9_000, 1, 9)]), pack(&[posting(1, 3, 9), posting(2, 1, 9)])];
        let dead = FxHashSet::from_iter([unit_of(9_000)]);
        let merged = merge(forms.iter().map(Vec::as_slice), &dead);
        assert_eq!(merged, [posting(1, 3, 9), posting(2, 1, 9)]);
    }

    #[test]
    fn rarity_is_never_negative() {
        assert!(Totals { documents: 3, words: 3 }.rarity(5) > 0.0);
    }
}
