//! The words of a search, each with its place in its postings.

use std::sync::Arc;

use super::{SCALE, Window, Word};
use crate::{
    documents::Cursor,
    postings::{BLOCK_POSTINGS, Head, Posting, Row},
    rank::Saturation,
};

/// Blocks of a window, of the postings that have the most in it.
const WINDOW_BLOCKS: usize = 8;
/// Postings that take as long to be read one after the other as one that is sought.
const READ_POSTINGS: usize = 8;

/// A word with its state.
pub(super) struct Scored<'a> {
    /// The last ones are those of higher frequencies.
    pub(super) lanes: Vec<Lane<'a>>,
    /// The number of the others, of which no two have the same document.
    distinct: usize,
    /// For these, at the last document with a higher frequency.
    lower: Vec<Cursor<'a>>,
    impact: f64,
    saturation: Saturation,
    /// The highest score that it gives to any document.
    pub(super) bound: u64,
}

pub(super) struct Lane<'a> {
    cursor: Cursor<'a>,
    /// The rows from that of the next block on.
    rows: &'a [Arc<Row>],
    /// The bounds of the blocks of all rows.
    bounds: Vec<u64>,
    /// The number of blocks in the rows before.
    before: usize,
    /// The first block of the next row that does not end before the window.
    next: usize,
}

impl<'a> Scored<'a> {
    pub(super) fn new(word: &Word<'a>, saturation: Saturation) -> Self {
        let score = |head: &Head| points(word.impact, saturation.share(head.highest_frequency, head.shortest_length));
        let lane = |cursor: Cursor<'a>| {
            let bounds = cursor.rows().iter().flat_map(|row| row.heads()).map(score).collect();
            Lane { rows: cursor.rows(), cursor, bounds, before: 0, next: 0 }
        };
        let lower: Vec<Cursor<'a>> = word.documents.distinct.cursors().collect();
        let lanes: Vec<Lane<'a>> = lower.iter().cloned().chain(word.documents.higher.cursors()).map(lane).collect();
        let bound = lanes.iter().flat_map(|lane| &lane.bounds).max().copied().unwrap_or_default();
        Self { lanes, distinct: lower.len(), lower, impact: word.impact, saturation, bound }
    }

    /// The bound of its blocks in the window; `None`: it has no document there.
    pub(super) fn window_bound(&mut self, window: Window) -> Option<u64> {
        self.lanes.iter_mut().filter_map(|lane| lane.window_bound(window)).max()
    }

    fn score(&self, posting: Posting) -> u64 {
        points(self.impact, self.saturation.share(posting.frequency, posting.length))
    }

    /// Adds to the scores of documents in a window, which are in order.
    pub(super) fn add_to(&mut self, candidates: &mut [(i64, u64)], window: Window, postings: &mut Vec<Posting>) {
        for place in 0..self.lanes.len() {
            postings.clear();
            let lane = &mut self.lanes[place];
            let Some((first, _)) = candidates.first() else { return };
            if lane.cursor.seek(*first).is_none() {
                continue;
            }
            let most_blocks = candidates.len() * READ_POSTINGS / BLOCK_POSTINGS;
            if lane.heads_in(window).take(most_blocks + 1).count() <= most_blocks {
                lane.cursor.read(window.1, |block, places| block.read(places, postings));
            } else {
                postings.extend(candidates.iter().filter_map(|(document, _)| lane.cursor.posting_of(*document)));
            }
            let mut found = postings.iter().peekable();
            for (document, score) in &mut *candidates {
                while found.next_if(|posting| posting.document < *document).is_some() {}
                if let Some(posting) = found.next_if(|posting| posting.document == *document) {
                    *score += self.score(*posting);
                    if place >= self.distinct {
                        *score -= self.lower_score(*document);
                    }
                }
            }
        }
    }

    /// Adds the scores of the documents in a window. One with a higher frequency is added twice.
    pub(super) fn read(&mut self, window: Window, postings: &mut Vec<Posting>, mut add: impl FnMut(i64, u64)) {
        for place in 0..self.lanes.len() {
            let cursor = &mut self.lanes[place].cursor;
            postings.clear();
            if cursor.seek(window.0).is_some() {
                cursor.read(window.1, |block, places| block.read(places, postings));
            }
            for posting in &*postings {
                let mut score = self.score(*posting);
                if place >= self.distinct {
                    score -= self.lower_score(posting.document);
                }
                add(posting.document, score);
            }
        }
    }

    /// The score of a document with its lower frequency.
    fn lower_score(&mut self, document: i64) -> u64 {
        let lower = self.lower.iter_mut().find_map(|cursor| cursor.posting_of(document));
        lower.map_or(0, |posting| self.score(posting))
    }
}

impl<'a> Lane<'a> {
    /// The window from the first document that can be at or after `start`. The end of its last row does not limit it.
    pub(super) fn window_from(&mut self, start: i64) -> Option<Window> {
        loop {
            let (row, after) = self.rows.split_first()?;
            self.next = row.block_from(self.next, start);
            let rest = &row.heads()[self.next..];
            if let Some(first) = rest.first() {
                let last = rest.get(WINDOW_BLOCKS - 1).or(rest.last().filter(|_| !after.is_empty()));
                return Some((first.first.max(start), last.map_or(i64::MAX, |last| last.last)));
            }
            (self.rows, self.before, self.next) = (after, self.before + row.heads().len(), 0);
        }
    }

    /// The bound of its blocks in the window; `None`: it has no document there.
    fn window_bound(&mut self, window: Window) -> Option<u64> {
        self.window_from(window.0)?;
        let bounds = self.heads_in(window).zip(&self.bounds[self.before + self.next..]);
        bounds.map(|(_, bound)| *bound).max()
    }

    /// The blocks with documents in the window of [`Self::window_bound`].
    fn heads_in(&self, window: Window) -> impl Iterator<Item = &'a Head> {
        let (row, after) = self.rows.split_first().map_or((&[][..], self.rows), |(row, after)| (row.heads(), after));
        let heads = row.get(self.next..).unwrap_or_default().iter().chain(after.iter().flat_map(|row| row.heads()));
        heads.take_while(move |head| head.first <= window.1)
    }
}

pub(super) fn points(impact: f64, share: f64) -> u64 {
    (impact * share * SCALE) as u64
}
