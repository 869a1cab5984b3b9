//! Finds the documents with the highest scores, and reads few of the postings for it.
//!
//! The bound of a word is the highest score that it gives to any document; of a block, that of its highest frequency in its
//! shortest document. Words whose bounds together are not above the lowest score of the best documents so far cannot find one
//! of the best by themselves. They are only **probed** for the documents of the other words. As the best get better, more words
//! are probed, the frequent ones first, whose bounds are low (MaxScore). This is decided again in each **window**, a range of
//! documents with few blocks, by the bounds of these blocks (block-max).
//!
//! Scores are added as integers, so that their sum does not depend on the order of the words, and equal ones are equal.

mod scored;

use std::{cmp::Reverse, collections::BinaryHeap};

use rustc_hash::FxHashMap;

use self::scored::Scored;
use crate::{analysis::unit_of, documents::WordDocuments, postings::Posting, rank::Totals};

/// The integers that are a score of 1. A score is below 10,000 for the longest query, so integers of 64 bits hold it.
const SCALE: f64 = (1_u64 << 32) as f64;

/// A word of a query.
#[derive(Debug)]
pub struct Word<'a> {
    /// The documents that have it.
    pub documents: &'a WordDocuments,
    /// Its rarity times its weight.
    pub impact: f64,
}

/// The documents that have any of the words, best first, at most `limit`, with their scores; equal scores by number. Only those
/// count whose unit and number are allowed.
#[must_use]
pub fn best(
    words: &[Word<'_>],
    totals: &Totals,
    limit: usize,
    is_unit_allowed: &dyn Fn(i64) -> bool,
    is_allowed: &dyn Fn(i64) -> bool,
) -> Vec<(i64, f64)> {
    if limit == 0 {
        return Vec::new();
    }
    let saturation = totals.saturation();
    let mut words: Vec<Scored<'_>> = words.iter().map(|word| Scored::new(word, saturation)).collect();
    words.sort_by_key(|word| word.bound);
    let top = Top { limit, heap: BinaryHeap::new() };
    let mut search = Search { words, probed: 0, top, scores: FxHashMap::default(), postings: Vec::new() };
    let mut start = i64::MIN;
    while let Some(window) = search.next_window(start) {
        search.visit(window, is_unit_allowed, is_allowed);
        let Some(after) = window.1.checked_add(1) else { break };
        start = after;
    }
    search.top.into_best()
}

/// The first and the last document of a window.
type Window = (i64, i64);

struct Search<'a> {
    /// Those with the lowest bounds first.
    words: Vec<Scored<'a>>,
    /// The number of the first words that are probed in all windows from here on.
    probed: usize,
    top: Top,
    /// The documents of a window.
    scores: FxHashMap<i64, u64>,
    /// The postings of a word in a window.
    postings: Vec<Posting>,
}

impl Search<'_> {
    /// The first window after `start` with documents of the words that can find one of the best by themselves.
    fn next_window(&mut self, start: i64) -> Option<Window> {
        self.probed = self.top.excluded_together(self.words.iter().map(|word| word.bound));
        let lanes = self.words[self.probed..].iter_mut().flat_map(|word| &mut word.lanes);
        let windows = lanes.filter_map(|lane| lane.window_from(start));
        windows.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
    }

    /// Adds the best documents of a window.
    fn visit(&mut self, window: Window, is_unit_allowed: &dyn Fn(i64) -> bool, is_allowed: &dyn Fn(i64) -> bool) {
        let Self { words, probed: always_probed, top, scores, postings } = self;
        let mut bounds: Vec<(u64, usize)> = Vec::with_capacity(words.len());
        for (place, word) in words.iter_mut().enumerate() {
            bounds.extend(word.window_bound(window).map(|bound| (bound, place)));
        }
        // The window is made for the other words, and can have very many postings of these.
        bounds.sort_unstable_by_key(|(bound, place)| (*place >= *always_probed, *bound));
        let probed = top.excluded_together(bounds.iter().map(|(bound, _)| *bound));
        if probed == bounds.len() {
            return;
        }
        for (_, place) in &bounds[probed..] {
            let (mut unit, mut is_known) = (None, false);
            words[*place].read(window, postings, |document, score| {
                let of = unit_of(document);
                if unit != Some(of) {
                    (unit, is_known) = (Some(of), is_unit_allowed(of));
                }
                if is_known {
                    *scores.entry(document).or_default() += score;
                }
            });
        }
        bounds.truncate(probed);
        bounds.sort_unstable();
        let mut rest: u64 = bounds.iter().map(|(bound, _)| bound).sum();
        let found = scores.drain().filter(|(document, score)| !top.excludes(score + rest) && is_allowed(*document));
        let mut candidates: Vec<(i64, u64)> = found.collect();
        candidates.sort_unstable();
        for (bound, place) in bounds.into_iter().rev() {
            candidates.retain(|(_, score)| !top.excludes(score + rest));
            words[place].add_to(&mut candidates, window, postings);
            rest -= bound;
        }
        candidates.into_iter().for_each(|(document, score)| top.offer(document, score));
    }
}

/// The best documents so far. They are offered in the order of their numbers, so that no later one with an equal score is better.
struct Top {
    limit: usize,
    /// The worst of them first.
    heap: BinaryHeap<Reverse<(u64, Reverse<i64>)>>,
}

impl Top {
    /// Whether a further document with this score is not one of the best.
    fn excludes(&self, score: u64) -> bool {
        self.heap.len() >= self.limit && self.heap.peek().is_some_and(|Reverse((least, _))| score <= *least)
    }

    /// How many of the first bounds exclude a document together.
    fn excluded_together(&self, bounds: impl Iterator<Item = u64>) -> usize {
        let mut sum: u64 = 0;
        let excluded = bounds.take_while(|bound| {
            sum += bound;
            self.excludes(sum)
        });
        excluded.count()
    }

    fn offer(&mut self, document: i64, score: u64) {
        if self.excludes(score) {
            return;
        }
        if self.heap.len() >= self.limit {
            self.heap.pop();
        }
        self.heap.push(Reverse((score, Reverse(document))));
    }

    fn into_best(self) -> Vec<(i64, f64)> {
        let best = self.heap.into_sorted_vec().into_iter();
        best.map(|Reverse((score, Reverse(document)))| (document, score as f64 / SCALE)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap, sync::Arc};

    use super::{scored::points, *};
    use crate::{
        DeadDocuments,
        analysis::document,
        documents::{Documents, Rows, Union},
        postings::{Row, pack},
        rank::{Scores, merge},
    };

    /// A generator of numbers, the same ones in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 20) % limit
        }

        fn one_in(&mut self, count: u64) -> bool {
            self.below(count) == 0
        }
    }

    /// The rows of the terms of a word: each of some units that were merged, in any order.
    fn random_rows(random: &mut Random, units: i64, most_chunks: u64) -> Vec<Rows> {
        let rarity = 1 << random.below(9);
        let mut terms = Vec::new();
        for _ in 0..=random.below(3) {
            let merged = 1 + random.below(4) as usize;
            let mut of_term = vec![Vec::new(); merged];
            let is_scattered = random.one_in(2);
            for unit in 0..units {
                let row = if is_scattered {
                    random.below(merged as u64) as usize
                } else {
                    unit as usize * merged / units as usize
                };
                for place in 0..1 + (unit as u64 * 7) % most_chunks {
                    if random.one_in(rarity) {
                        let document = document(unit, place as usize);
                        let frequency = if random.one_in(4) { 1 + random.below(9) as u32 } else { 1 };
                        // Few lengths, so that scores are equal, and the same for all words of the document.
                        of_term[row].push(Posting { document, frequency, length: 20 + 10 * (document % 5) as u32 });
                    }
                }
            }
            terms.push(of_term.iter().map(|postings| Arc::new(Row::new(pack(postings)))).collect());
        }
        terms
    }

    fn united(terms: &[Rows]) -> Arc<Union> {
        Arc::new(Union::new(terms))
    }

    #[test]
    fn best_are_those_of_all_scores() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for round in 0..120 {
            let (units, most_chunks) = (1 + random.below(150) as i64, 1 + random.below(60));
            let dead_units: Vec<i64> = (0..units).filter(|_| round % 3 > 0 && random.one_in(6)).collect();
            let dead_documents: Vec<i64> =
                (0..units).filter(|_| round % 4 == 0 && random.one_in(3)).map(|unit| document(unit, 1)).collect();
            let dead = DeadDocuments::new(dead_units, dead_documents);
            let count = 1 + random.below(if round % 10 == 0 { 60 } else { 8 });
            let terms: Vec<_> = (0..count).map(|_| random_rows(&mut random, units, most_chunks)).collect();
            let united: Vec<_> = terms.iter().map(|terms| WordDocuments::new(terms.clone(), united)).collect();
            let totals =
                Totals { documents: units as u64 * most_chunks / 2 + 1, words: units as u64 * most_chunks * 20 };
            let saturation = totals.saturation();
            let (mut words, mut all, mut floats) = (Vec::new(), BTreeMap::<i64, u64>::new(), Scores::default());
            for (terms, united) in terms.iter().zip(&united) {
                let postings = merge(terms.iter().flatten().map(Arc::as_ref), &dead);
                let documents = Documents::new(terms.iter().flatten().cloned());
                assert!((0..2).all(|_| united.live_count(&dead) == postings.len()));
                let with_dead = merge(terms.iter().flatten().map(Arc::as_ref), &DeadDocuments::default());
                assert_eq!(united.live_count(&DeadDocuments::default()), with_dead.len(), "of another search");
                assert_eq!(documents.has_live(&dead), !postings.is_empty());
                let weight = 1.0 + random.below(3) as f64;
                let impact = weight * totals.rarity(postings.len());
                for posting in &postings {
                    assert!(documents.contains(posting.document));
                    assert_eq!(united.posting(posting.document), Some(*posting));
                    *all.entry(posting.document).or_default() +=
                        points(impact, saturation.share(posting.frequency, posting.length));
                }
                floats.add(&postings, weight, &totals);
                words.push(Word { documents: united, impact });
            }
            let filter = random.below(3);
            let is_in_filter = |unit: i64| filter == 0 || unit % 3 != filter as i64;
            let is_allowed = |document: i64| filter < 2 || document % 11 != 0;
            let mut expected: Vec<(i64, u64)> = all.into_iter().collect();
            expected.retain(|(document, _)| is_in_filter(unit_of(*document)) && is_allowed(*document));
            expected.sort_by_key(|(document, score)| (Reverse(*score), *document));
            for limit in [0, 1, 2, 10, 100, 100_000] {
                let is_unit_allowed = |unit: i64| is_in_filter(unit) && !dead.has_unit(unit);
                let is_allowed = |document: i64| is_allowed(document) && !dead.has_document(document);
                let found = best(&words, &totals, limit, &is_unit_allowed, &is_allowed);
                let expected = expected.iter().take(limit).map(|(document, score)| (*document, *score as f64 / SCALE));
                assert_eq!(found, expected.collect::<Vec<_>>(), "{limit} best of round {round}");
                for (document, score) in found {
                    assert!((score - floats.score(document, |_| true)).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn few_postings_of_a_frequent_word_are_read() {
        let postings = |step: usize| -> Vec<Posting> {
            (0..100_000)
                .step_by(step)
                .map(|unit| Posting { document: document(unit, 0), frequency: 1, length: 50 })
                .collect()
        };
        let documents = |step| WordDocuments::new(vec![vec![Arc::new(Row::new(pack(&postings(step))))]], united);
        let (frequent, rare) = (documents(1), documents(1_000));
        let totals = Totals { documents: 100_000, words: 5_000_000 };
        let words = [
            Word { documents: &frequent, impact: totals.rarity(100_000) },
            Word { documents: &rare, impact: totals.rarity(100) },
        ];
        let read = Cell::new(0);
        let count = |_: i64| {
            read.set(read.get() + 1);
            true
        };
        let found = best(&words, &totals, 10, &count, &|_| true);
        assert!(found.iter().map(|(document, _)| *document).eq((0..10).map(|n| document(1_000 * n, 0))));
        assert!(read.get() <= 2_000, "{} postings were read", read.get());
        read.set(0);
        // Any document has the same score, so that no block after the first ones can have a better one.
        assert_eq!(best(&words[..1], &totals, 10, &count, &|_| true).len(), 10);
        assert!(read.get() <= 2_000, "{} postings were read", read.get());
    }
}
