//! Scores documents by BM25: all that have a word of the query.

use rustc_hash::FxHashMap;

use crate::{
    analysis::unit_of,
    dead_documents::DeadDocuments,
    postings::{Posting, Row},
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

    /// The score of a document for a word, whose rarity times its weight is `impact`.
    #[must_use]
    pub fn score(&self, impact: f64, posting: &Posting) -> f64 {
        impact * self.saturation().share(posting.frequency, posting.length)
    }

    pub(crate) fn saturation(&self) -> Saturation {
        let mean_length = if self.documents == 0 { 1.0 } else { (self.words as f64 / self.documents as f64).max(1.0) };
        Saturation { flat: K1 * (1.0 - B), slope: K1 * B / mean_length }
    }
}

/// How a document's score for a word follows from its frequency and length, apart from the rarity of the word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturation {
    flat: f64,
    slope: f64,
}

impl Saturation {
    /// The share of a posting, less than `K1 + 1`. Of more occurrences or a shorter document it is never less, not even by
    /// rounding, because each number occurs once: a search relies on it to skip blocks.
    pub(crate) fn share(self, frequency: u32, length: u32) -> f64 {
        (K1 + 1.0) / (1.0 + (self.flat + self.slope * f64::from(length)) / f64::from(frequency))
    }
}

/// The documents of a word: those of all its terms, each with the highest frequency of them.
#[must_use]
pub fn merge<'a>(rows: impl Iterator<Item = &'a Row>, dead: &DeadDocuments) -> Vec<Posting> {
    let mut merged: Vec<Posting> = Vec::new();
    let mut last = None;
    let (mut unit, mut is_dead) = (None, false);
    let mut sorted = true;
    let mut rows: Vec<&Row> = rows.collect();
    rows.sort_by_key(|row| row.range());
    for row in rows {
        for posting in row.postings() {
            let of = unit_of(posting.document);
            if unit != Some(of) {
                (unit, is_dead) = (Some(of), dead.has_unit(of));
            }
            if !is_dead && !dead.has_document(posting.document) {
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

/// The documents that have all words of a phrase, each with the frequency of the rarest of them.
#[must_use]
pub fn intersect(places: &[Vec<Posting>]) -> Vec<Posting> {
    let Some((first, others)) = places.split_first() else { return Vec::new() };
    let mut common = first.clone();
    for other in others {
        let mut rest = other.iter().peekable();
        common.retain_mut(|posting| {
            while rest.next_if(|other| other.document < posting.document).is_some() {}
            let found = rest.peek().filter(|other| other.document == posting.document);
            posting.frequency = found.map_or(0, |other| other.frequency.min(posting.frequency));
            found.is_some()
        });
    }
    common
}

/// The documents of a word or a phrase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted {
    /// The documents, in order.
    pub postings: Vec<Posting>,
    /// How much it counts.
    pub weight: f64,
}

/// Words of a query, and others that stand for them. A document has the score of the best of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alternatives {
    /// The words of the query, whose scores are added.
    pub own: Vec<Weighted>,
    /// Words that stand for all of them.
    pub words: Vec<Weighted>,
    /// Phrases that do, by their numbers: the documents have their words, and only a text tells whether it has the phrase.
    pub phrases: Vec<(usize, Weighted)>,
}

impl Alternatives {
    /// The score of a document of whose words only these count, by their places among the query's own.
    pub fn score(
        &self,
        document: i64,
        totals: &Totals,
        has_word: impl Fn(usize) -> bool,
        has_phrase: impl Fn(usize) -> bool,
    ) -> f64 {
        let part = |word: &Weighted, rarity: f64| {
            let place = word.postings.binary_search_by_key(&document, |posting| posting.document).ok()?;
            Some(totals.score(word.weight * rarity, &word.postings[place]))
        };
        let rarity = |word: &Weighted| totals.rarity(word.postings.len());
        let rarest: f64 = self.own.iter().map(rarity).sum();
        let own = self.own.iter().enumerate().filter(|(place, _)| has_word(*place));
        let own: f64 = own.filter_map(|(_, word)| part(word, rarity(word))).sum();
        let other = |word: &Weighted| part(word, rarity(word).min(rarest));
        let words = self.words.iter().filter_map(other);
        let phrases = self.phrases.iter().filter(|(phrase, _)| has_phrase(*phrase));
        words.chain(phrases.filter_map(|(_, word)| other(word))).fold(own, f64::max)
    }
}

/// What a phrase adds to the score of a document that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Gain {
    /// The number of the alternatives, of which only the best counts.
    group: usize,
    phrase: usize,
    score: f64,
}

/// The scores of all documents that have a word of the query: needed where words have alternatives. Those of other queries are in
/// [`crate::best`], which reads few of the postings.
#[derive(Debug, Default)]
pub struct Scores {
    scores: FxHashMap<i64, f64>,
    /// In the order of their groups.
    gains: FxHashMap<i64, Vec<Gain>>,
    groups: usize,
}

/// The scores of a word in its documents.
fn parts(postings: &[Posting], rarity: f64, totals: &Totals) -> impl Iterator<Item = (i64, f64)> {
    let saturation = totals.saturation();
    postings.iter().map(move |posting| (posting.document, rarity * saturation.share(posting.frequency, posting.length)))
}

impl Scores {
    /// Adds a word that occurs `weight` times in the query.
    pub fn add(&mut self, postings: &[Posting], weight: f64, totals: &Totals) {
        self.scores.reserve(postings.len().saturating_sub(self.scores.len()));
        for (document, part) in parts(postings, weight * totals.rarity(postings.len()), totals) {
            *self.scores.entry(document).or_default() += part;
        }
    }

    /// Adds words of a query with their alternatives. An alternative is at most as rare as the words: one that few documents have
    /// would otherwise count more than the words of the query.
    pub fn add_best(&mut self, alternatives: &Alternatives, totals: &Totals) {
        let group = self.groups;
        self.groups += 1;
        let mut best: FxHashMap<i64, f64> = FxHashMap::default();
        let mut rarest = 0.0;
        for word in &alternatives.own {
            let rarity = totals.rarity(word.postings.len());
            rarest += rarity;
            for (document, part) in parts(&word.postings, word.weight * rarity, totals) {
                *best.entry(document).or_default() += part;
            }
        }
        let rarity = |other: &Weighted| other.weight * totals.rarity(other.postings.len()).min(rarest);
        for word in &alternatives.words {
            for (document, part) in parts(&word.postings, rarity(word), totals) {
                let known = best.entry(document).or_default();
                *known = known.max(part);
            }
        }
        for (phrase, other) in &alternatives.phrases {
            for (document, part) in parts(&other.postings, rarity(other), totals) {
                let score = part - best.get(&document).copied().unwrap_or_default();
                if score > 0.0 {
                    self.gains.entry(document).or_default().push(Gain { group, phrase: *phrase, score });
                    self.scores.entry(document).or_default();
                }
            }
        }
        for (document, part) in best {
            *self.scores.entry(document).or_default() += part;
        }
    }

    /// Whether a phrase can add to the score of a document.
    #[must_use]
    pub fn is_open(&self, document: i64) -> bool {
        self.gains.contains_key(&document)
    }

    /// Whether phrases can add to scores of documents.
    #[must_use]
    pub fn has_open(&self) -> bool {
        !self.gains.is_empty()
    }

    /// The score of a document that has those of the phrases that `has` accepts.
    pub fn score(&self, document: i64, has: impl Fn(usize) -> bool) -> f64 {
        let score = self.scores.get(&document).copied().unwrap_or_default();
        score + self.gain(document, has)
    }

    fn gain(&self, document: i64, has: impl Fn(usize) -> bool) -> f64 {
        if self.gains.is_empty() {
            return 0.0;
        }
        let Some(gains) = self.gains.get(&document) else { return 0.0 };
        let best =
            |gains: &[Gain]| gains.iter().filter(|gain| has(gain.phrase)).map(|gain| gain.score).fold(0.0, f64::max);
        gains.chunk_by(|one, next| one.group == next.group).map(best).sum()
    }

    /// The documents that `allowed` accepts, best first, at most `limit`; equal scores by number. Open ones have the highest
    /// score that is possible.
    pub fn best(&self, limit: usize, allowed: impl Fn(i64) -> bool) -> Vec<(i64, f64)> {
        let found = self.scores.iter().filter(|(document, _)| allowed(**document));
        let mut best: Vec<(i64, f64)> = found.map(|(d, score)| (*d, score + self.gain(*d, |_| true))).collect();
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
    use std::sync::Arc;

    use super::*;
    use crate::{documents::Documents, postings::pack};

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
        let forms = [&[posting(1, 1, 9), posting(9_000, 1, 9)], &[posting(1, 3, 9), posting(2, 1, 9)]];
        let forms = forms.map(|postings| Row::new(pack(postings)));
        let dead = DeadDocuments::new([unit_of(9_000)], []);
        let merged = merge(forms.iter(), &dead);
        assert_eq!(merged, [posting(1, 3, 9), posting(2, 1, 9)]);
        let is_live = |row: Row| Documents::new([Arc::new(row)].into_iter()).has_live(&dead);
        assert!(forms.into_iter().all(is_live) && !is_live(Row::new(pack(&[posting(9_000, 1, 9)]))));
    }

    fn weighted(postings: &[Posting], weight: f64) -> Weighted {
        Weighted { postings: postings.to_vec(), weight }
    }

    const TOTALS: Totals = Totals { documents: 100, words: 1_000 };

    #[test]
    fn only_the_best_of_alternatives_counts() {
        let (own, others) = ([posting(1, 1, 10), posting(2, 1, 10)], [posting(1, 1, 10), posting(3, 1, 10)]);
        let alternatives = Alternatives {
            own: vec![weighted(&own, 1.0)],
            words: vec![weighted(&others, 0.8), weighted(&others, 0.8)],
            phrases: Vec::new(),
        };
        let mut scores = Scores::default();
        scores.add_best(&alternatives, &TOTALS);
        let mut plain = Scores::default();
        plain.add(&own, 1.0, &TOTALS);
        let score = |scores: &Scores, document| scores.score(document, |_| true);
        assert_eq!(score(&scores, 1), score(&plain, 1));
        assert_eq!(score(&scores, 2), score(&plain, 2));
        assert!((score(&scores, 3) - 0.8 * score(&plain, 1)).abs() < 1e-9);
    }

    #[test]
    fn rare_alternative_counts_less_than_the_frequent_word() {
        let own: Vec<Posting> = (1..=50).map(|document| posting(document, 1, 10)).collect();
        let words = vec![weighted(&[posting(60, 1, 10)], 0.8)];
        let alternatives = Alternatives { own: vec![weighted(&own, 1.0)], words, phrases: Vec::new() };
        let mut scores = Scores::default();
        scores.add_best(&alternatives, &TOTALS);
        assert!(scores.score(60, |_| true) < scores.score(1, |_| true));
        // A word that no document has does not limit the others.
        let unknown = Alternatives { own: vec![weighted(&[], 1.0)], ..alternatives };
        let mut scores = Scores::default();
        scores.add_best(&unknown, &TOTALS);
        let rarity = TOTALS.rarity(1);
        assert!((scores.score(60, |_| true) - 0.8 * rarity).abs() < 0.05 * rarity);
    }

    #[test]
    fn phrases_count_where_a_text_has_them() {
        let (own, both) = ([posting(1, 1, 10)], [posting(1, 1, 10), posting(2, 1, 10), posting(3, 1, 10)]);
        let alternatives = Alternatives {
            own: vec![weighted(&own, 1.0)],
            words: Vec::new(),
            phrases: vec![(0, weighted(&both, 0.8)), (1, weighted(&both[1..], 0.8))],
        };
        let mut scores = Scores::default();
        scores.add_best(&alternatives, &TOTALS);
        assert!(!scores.is_open(1) && scores.is_open(2) && scores.has_open());
        let possible = scores.best(10, |_| true);
        assert_eq!(possible.iter().map(|(document, _)| *document).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(scores.score(2, |phrase| phrase == 1), possible[1].1, "the better of both counts");
        assert_eq!(scores.score(2, |_| false), 0.0);
    }

    #[test]
    fn score_without_a_word_is_that_of_the_best_alternative() {
        let postings = [posting(1, 2, 10), posting(2, 1, 10)];
        let alternatives = Alternatives {
            own: vec![weighted(&postings, 1.0), weighted(&postings[..1], 1.0)],
            words: vec![weighted(&postings, 0.8)],
            phrases: vec![(4, weighted(&postings[1..], 0.8))],
        };
        let mut scores = Scores::default();
        scores.add_best(&alternatives, &TOTALS);
        let score = |document, has_word: &dyn Fn(usize) -> bool, has_phrase: bool| {
            alternatives.score(document, &TOTALS, has_word, |phrase| phrase == 4 && has_phrase)
        };
        for document in [1, 2] {
            assert!((score(document, &|_| true, true) - scores.score(document, |_| true)).abs() < 1e-9);
        }
        let synonym = score(1, &|_| false, true);
        assert!(synonym > 0.0 && synonym < score(1, &|place| place == 0, true));
        assert!(score(2, &|_| false, false) < score(2, &|_| false, true), "its phrase is rarer than the word");
        assert_eq!(score(3, &|_| true, true), 0.0);
    }

    #[test]
    fn phrase_can_be_in_documents_that_have_all_of_its_words() {
        let first = vec![posting(1, 2, 9), posting(4, 3, 9), posting(7, 1, 9)];
        let second = vec![posting(2, 1, 9), posting(4, 1, 9), posting(7, 5, 9), posting(9, 1, 9)];
        assert_eq!(intersect(&[first, second]), [posting(4, 1, 9), posting(7, 1, 9)]);
        assert_eq!(intersect(&[]), []);
    }

    #[test]
    fn rarity_is_never_negative() {
        assert!(Totals { documents: 3, words: 3 }.rarity(5) > 0.0);
    }
}
