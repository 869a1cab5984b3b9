//! The documents of a word, read from packed postings where they are needed.

use crate::{
    dead_documents::DeadDocuments,
    postings::{Block, Posting, blocks},
};

/// Blocks that are counted at a time, of the postings that have the most.
const COUNTED_BLOCKS: usize = 16;

/// The documents of a word: those of all its terms, each with the highest frequency of them.
///
/// Rows of packed postings whose ranges of documents do not overlap follow each other in a **lane**. Most words have one or
/// two, of their form and their stem, however many rows they have.
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

    /// The number of documents that are not dead. Lanes have documents in common, so those of several are compared.
    #[must_use]
    pub fn live_count(&self, dead: &DeadDocuments) -> usize {
        if let [lane] = self.lanes.as_slice() {
            return lane.iter().map(|block| dead.live_in(block)).sum();
        }
        let mut cursors: Vec<_> = self.cursors().collect();
        let (mut documents, mut count) = (Vec::new(), 0);
        while let Some(end) = cursors.iter().filter_map(|cursor| cursor.end_of_blocks(COUNTED_BLOCKS)).min() {
            documents.clear();
            cursors
                .iter_mut()
                .for_each(|cursor| cursor.read(end, |block, place| documents.push(block.document(place))));
            // The lanes are in order, which a stable sort makes use of.
            documents.sort();
            documents.dedup();
            count += dead.live_among(documents.iter().copied());
        }
        count
    }

    /// Whether a document is among them, dead or not.
    #[must_use]
    pub fn contains(&self, document: i64) -> bool {
        self.lanes.iter().any(|lane| {
            let block = lane.get(lane.partition_point(|block| block.last < document));
            block.is_some_and(|block| block.document(block.place_of(document, 0)) == document)
        })
    }

    /// A cursor for each lane, at its beginning.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = Cursor<'_>> {
        self.lanes.iter().map(|lane| Cursor { blocks: lane, block: 0, place: 0 })
    }
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
    /// The last document of the next `count` blocks. `None`: there is no block left.
    fn end_of_blocks(&self, count: usize) -> Option<i64> {
        let rest = &self.blocks[self.block..];
        Some(rest.get(count - 1).or(rest.last())?.last)
    }

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
