//! The documents of a word, read from packed postings where they are needed.

use crate::{
    dead_documents::DeadDocuments,
    postings::{Block, Posting, blocks, pack},
};

/// The documents of a term, or of a word, each with the highest frequency of its terms.
///
/// Rows of packed postings whose ranges of documents do not overlap follow each other in a **lane**. Most terms have one, however
/// many rows they have.
#[derive(Debug, Default)]
pub struct Documents<'a> {
    /// The blocks of each lane, in the order of their documents.
    lanes: Vec<Vec<Block<'a>>>,
}

impl<'a> Documents<'a> {
    /// Of rows of packed postings.
    #[must_use]
    pub fn new(rows: impl Iterator<Item = &'a [u8]>) -> Self {
        let rows = rows.map(|packed| blocks(packed).collect::<Vec<_>>());
        let mut rows: Vec<_> = rows.filter(|blocks| !blocks.is_empty()).collect();
        rows.sort_by_key(|blocks| blocks[0].first);
        let mut lanes: Vec<Vec<Block<'a>>> = Vec::new();
        for row in rows {
            let is_before = |lane: &&mut Vec<Block<'a>>| lane.last().is_some_and(|block| block.last < row[0].first);
            match lanes.iter_mut().find(is_before) {
                Some(lane) => lane.extend(row),
                None => lanes.push(row),
            }
        }
        Self { lanes }
    }

    /// The number of documents of a term that are not dead. No document is in several of its rows.
    #[must_use]
    pub fn live_count(&self, dead: &DeadDocuments) -> usize {
        self.lanes.iter().flatten().map(|block| dead.live_in(block)).sum()
    }

    fn count(&self) -> usize {
        self.lanes.iter().flatten().map(Block::count).sum()
    }

    /// Whether a document is among them, dead or not.
    #[must_use]
    pub fn contains(&self, document: i64) -> bool {
        self.lanes.iter().any(|lane| {
            let block = lane.get(lane.partition_point(|block| block.last < document));
            block.is_some_and(|block| block.document(block.place_of(document, 0)) == document)
        })
    }

    /// The posting of a document, with the highest frequency.
    #[must_use]
    pub fn posting(&self, document: i64) -> Option<Posting> {
        let found = self.cursors().filter_map(|mut lane| lane.posting_of(document));
        found.max_by_key(|posting| posting.frequency)
    }

    /// A cursor for each lane, at its beginning.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = Cursor<'_>> {
        self.lanes.iter().map(|lane| Cursor { blocks: lane, block: 0, place: 0 })
    }
}

/// The documents of a word with several terms. The term with the most documents usually has nearly all of the others, as a stem
/// has those of its forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct United {
    /// The place of that term.
    pub largest: usize,
    /// The packed postings of the other terms that it does not have, or with a lower frequency.
    pub others: Vec<u8>,
    /// The number of documents of all terms that are not dead.
    pub live_count: usize,
}

/// Unites the documents of the terms of a word, so that a search reads each document about once.
#[must_use]
pub fn unite(terms: &[Documents<'_>], dead: &DeadDocuments) -> United {
    let counts = terms.iter().map(Documents::count).enumerate();
    let Some((largest, _)) = counts.max_by_key(|(_, count)| *count) else { return United::default() };
    let known = &terms[largest];
    let mut others: Vec<(Posting, bool)> = Vec::new();
    for (_, term) in terms.iter().enumerate().filter(|(place, _)| *place != largest) {
        for mut lane in term.cursors() {
            let mut known: Vec<Cursor<'_>> = known.cursors().collect();
            lane.read(i64::MAX, |block, place| {
                let posting = block.posting(place);
                let found = known.iter_mut().find_map(|lane| lane.posting_of(posting.document));
                if found.is_none_or(|found| found.frequency < posting.frequency) {
                    others.push((posting, found.is_some()));
                }
            });
        }
    }
    others.sort_by(|(a, _), (b, _)| a.document.cmp(&b.document).then(b.frequency.cmp(&a.frequency)));
    others.dedup_by_key(|(posting, _)| posting.document);
    let new = others.iter().filter(|(_, is_known)| !is_known).map(|(posting, _)| posting.document);
    let live_count = known.live_count(dead) + dead.live_among(new);
    let others: Vec<Posting> = others.into_iter().map(|(posting, _)| posting).collect();
    United { largest, others: pack(&others), live_count }
}

/// A posting of a lane, from which on others are read.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    /// The blocks of the lane.
    pub(crate) blocks: &'a [Block<'a>],
    block: usize,
    place: usize,
}

impl<'a> Cursor<'a> {
    /// Moves to the first posting that is not before a document, and skips the blocks that are. `None`: there is none.
    pub(crate) fn seek(&mut self, document: i64) -> Option<(&'a Block<'a>, usize)> {
        let rest = &self.blocks[self.block..];
        if rest.first()?.last < document {
            // A block near by is likely: the steps double.
            let mut step = 1;
            while rest.get(step).is_some_and(|block| block.last < document) {
                step *= 2;
            }
            let skipped = &rest[step / 2..rest.len().min(step + 1)];
            self.block += step / 2 + skipped.partition_point(|block| block.last < document);
            self.place = 0;
        }
        let block = self.blocks.get(self.block)?;
        self.place = block.place_of(document, self.place);
        Some((block, self.place))
    }

    /// The posting of a document, of which none after it was sought.
    pub(crate) fn posting_of(&mut self, document: i64) -> Option<Posting> {
        let (block, place) = self.seek(document)?;
        (block.document(place) == document).then(|| block.posting(place))
    }

    /// Reads the places of the postings up to those of the document `end`.
    pub(crate) fn read(&mut self, end: i64, mut each: impl FnMut(&Block<'a>, usize)) {
        while let Some(block) = self.blocks.get(self.block) {
            let is_whole = block.last <= end;
            let to = if is_whole { block.count() } else { block.place_of(end + 1, self.place) };
            (self.place..to).for_each(|place| each(block, place));
            self.place = to;
            if !is_whole {
                return;
            }
            self.block += 1;
            self.place = 0;
        }
    }
}
