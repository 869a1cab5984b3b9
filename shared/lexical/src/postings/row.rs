//! Rows of packed postings in memory.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Head, Posting, distance, heads, number};
use crate::dead_documents::{DeadDocuments, Fingerprint};

/// Packed postings with the heads of their blocks, which are read once: searches share a row, and read few of its blocks.
#[derive(Debug)]
pub struct Row {
    id: u64,
    packed: Vec<u8>,
    heads: Vec<Head>,
    count: usize,
    /// The number of its dead documents at the last search, with the fingerprint of these.
    dead: Mutex<Option<(Fingerprint, usize)>>,
}

impl Row {
    /// Of packed postings.
    #[must_use]
    pub fn new(mut packed: Vec<u8>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        packed.shrink_to_fit();
        let mut heads: Vec<Head> = heads(&packed).collect();
        heads.shrink_to_fit();
        let count = heads.iter().map(Head::count).sum();
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), packed, heads, count, dead: Mutex::default() }
    }

    /// A number that no other row of the process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The bytes that it takes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.packed.capacity() + self.heads.capacity() * size_of::<Head>()
    }

    /// The number of its postings.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The number of its documents that are not dead. It is computed again only where others are dead in its range.
    pub(crate) fn live_count(&self, dead: &DeadDocuments, count_dead: impl FnOnce() -> usize) -> usize {
        let Some(range) = self.range() else { return 0 };
        let fingerprint = dead.fingerprint(range);
        let mut known = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match *known {
            Some((of, count)) if of == fingerprint => count,
            _ => count_dead(),
        };
        *known = Some((fingerprint, count));
        self.count - count
    }

    /// Its postings, in order.
    pub fn postings(&self) -> impl Iterator<Item = Posting> {
        let blocks = (0..self.heads.len()).filter_map(|block| self.block(block));
        blocks.flat_map(|block| (0..block.head.count()).map(move |place| block.posting(place)))
    }

    /// Its first and its last document.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        Some((self.heads.first()?.first, self.heads.last()?.last))
    }

    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    pub(crate) fn block(&self, block: usize) -> Option<Block<'_>> {
        self.heads.get(block).map(|head| Block { head, columns: head.columns_of(&self.packed) })
    }

    /// The first block from a place on that does not end before a document.
    pub(crate) fn block_from(&self, from: usize, document: i64) -> usize {
        let rest = &self.heads[from..];
        if rest.first().is_none_or(|head| head.last >= document) {
            return from;
        }
        // A block near by is likely: the steps double.
        let mut step = 1;
        while rest.get(step).is_some_and(|head| head.last < document) {
            step *= 2;
        }
        let skipped = &rest[step / 2..rest.len().min(step + 1)];
        from + step / 2 + skipped.partition_point(|head| head.last < document)
    }
}

/// A block of packed postings, of which only the head is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) head: &'a Head,
    columns: &'a [u8],
}

impl Block<'_> {
    /// The document at a place.
    pub(crate) fn document(&self, place: usize) -> i64 {
        self.head.document(self.columns, place)
    }

    /// The posting at a place.
    pub(crate) fn posting(&self, place: usize) -> Posting {
        self.head.posting(self.columns, place)
    }

    /// Adds the postings at places, which takes less than reading each by itself.
    pub(crate) fn read(&self, places: Range<usize>, postings: &mut Vec<Posting>) {
        let head = self.head;
        let [documents, frequencies, lengths] = head.widths.map(usize::from);
        let (of_documents, rest) = self.columns.split_at(documents * head.count());
        let (of_frequencies, of_lengths) = rest.split_at(frequencies * head.count());
        let start = postings.len();
        let lowest = Posting { document: head.first, frequency: head.lowest_frequency, length: head.shortest_length };
        postings.resize(start + places.len(), lowest);
        let read = &mut postings[start..];
        each(of_documents, documents, &places, read, |posting, number| {
            posting.document = posting.document.wrapping_add(number.cast_signed());
        });
        each(of_frequencies, frequencies, &places, read, |posting, number| {
            posting.frequency = posting.frequency.wrapping_add(number as u32);
        });
        each(of_lengths, lengths, &places, read, |posting, number| {
            posting.length = posting.length.wrapping_add(number as u32);
        });
    }

    /// The place of the first document that is not before `document`, from a place on; the last place if there is none.
    pub(crate) fn place_of(&self, document: i64, from: usize) -> usize {
        let last = self.head.count() - 1;
        let from = from.min(last);
        if document <= self.head.first {
            return from;
        }
        let wanted = distance(self.head.first, document);
        let width = usize::from(self.head.widths[0]);
        let column = &self.columns[from * width..last * width];
        let before = match width {
            1 => column.partition_point(|number| u64::from(*number) < wanted),
            2 => count_below(column, wanted, |number| u16::from_le_bytes(number).into()),
            3 => count_below(column, wanted, |[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into()),
            4 => count_below(column, wanted, |number| u32::from_le_bytes(number).into()),
            8 => count_below(column, wanted, u64::from_le_bytes),
            _ => last - from,
        };
        from + before
    }
}

/// How many of the first numbers of a column are below one.
fn count_below<const WIDTH: usize>(column: &[u8], limit: u64, number: impl Fn([u8; WIDTH]) -> u64) -> usize {
    column.as_chunks().0.partition_point(|bytes| number(*bytes) < limit)
}

/// Adds the numbers at places of a column to postings.
fn each(column: &[u8], width: usize, places: &Range<usize>, postings: &mut [Posting], add: impl Fn(&mut Posting, u64)) {
    let column = &column[places.start * width..places.end * width];
    match width {
        0 => {}
        1 => postings.iter_mut().zip(column).for_each(|(posting, number)| add(posting, (*number).into())),
        2 => {
            let numbers = column.as_chunks().0.iter().map(|number| u16::from_le_bytes(*number));
            postings.iter_mut().zip(numbers).for_each(|(posting, number)| add(posting, number.into()));
        }
        _ => {
            for (place, posting) in postings.iter_mut().enumerate() {
                add(posting, number(column, width, place));
            }
        }
    }
}
