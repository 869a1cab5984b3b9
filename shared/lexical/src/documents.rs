//! The documents of a word, read from packed postings where they are needed.

use std::{ops::Range, sync::Arc};

use crate::{
    dead_documents::DeadDocuments,
    postings::{Block, Posting, Row, pack},
};

/// The rows of a term.
pub type Rows = Vec<Arc<Row>>;

/// The documents of a term, or of a word, each with the highest frequency of its terms.
///
/// Rows of packed postings whose ranges of documents do not overlap follow each other in a **lane**. Most terms have one, however
/// many rows they have.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The rows of each lane, in the order of their documents.
    lanes: Vec<Rows>,
}

impl Documents {
    /// Of rows of packed postings.
    #[must_use]
    pub fn new(rows: impl Iterator<Item = Arc<Row>>) -> Self {
        let mut lanes: Vec<(i64, Rows)> = Vec::new();
        for (first, last, row) in in_order(rows) {
            match lanes.iter_mut().find(|(end, _)| *end < first) {
                Some((end, lane)) => {
                    *end = last;
                    lane.push(row);
                }
                None => lanes.push((last, vec![row])),
            }
        }
        Self { lanes: lanes.into_iter().map(|(_, lane)| lane).collect() }
    }

    /// The number of documents that are not dead, where no document is in several of the rows.
    #[must_use]
    pub fn live_count(&self, dead: &DeadDocuments) -> usize {
        let of_row = |row: &Arc<Row>| {
            row.live_count(dead, || dead.count_in(Cursor { rows: std::slice::from_ref(row), block: 0, place: 0 }))
        };
        self.lanes.iter().flatten().map(of_row).sum()
    }

    /// Whether any document is not dead.
    #[must_use]
    pub fn has_live(&self, dead: &DeadDocuments) -> bool {
        let mut rows = self.lanes.iter().flatten();
        rows.any(|row| row.postings().any(|posting| !dead.has(posting.document)))
    }

    /// Those that are not dead, where no document is in several of the rows.
    pub fn live(&self, dead: &DeadDocuments) -> impl Iterator<Item = i64> {
        let documents = self.lanes.iter().flatten().flat_map(|row| row.postings()).map(|posting| posting.document);
        documents.filter(move |document| !dead.has(*document))
    }

    /// Whether a document is among them, dead or not.
    #[must_use]
    pub fn contains(&self, document: i64) -> bool {
        self.cursors_from(document).any(|mut lane| lane.posting_of(document).is_some())
    }

    /// The posting of a document, with the highest frequency.
    #[must_use]
    pub fn posting(&self, document: i64) -> Option<Posting> {
        let found = self.cursors_from(document).filter_map(|mut lane| lane.posting_of(document));
        found.max_by_key(|posting| posting.frequency)
    }

    /// A cursor for each lane, at its beginning.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = Cursor<'_>> {
        self.lanes.iter().map(|lane| Cursor { rows: lane, block: 0, place: 0 })
    }

    /// A cursor for each lane, at its first row that does not end before a document.
    fn cursors_from(&self, document: i64) -> impl Iterator<Item = Cursor<'_>> {
        self.lanes.iter().map(move |lane| {
            let before = lane.partition_point(|row| row.range().is_some_and(|(_, last)| last < document));
            Cursor { rows: &lane[before..], block: 0, place: 0 }
        })
    }
}

/// The rows that are not empty, in the order of their first documents, with their ranges.
fn in_order(rows: impl Iterator<Item = Arc<Row>>) -> Vec<(i64, i64, Arc<Row>)> {
    let mut rows: Vec<_> = rows.filter_map(|row| row.range().map(|(first, last)| (first, last, row))).collect();
    rows.sort_by_key(|(first, ..)| *first);
    rows
}

/// The documents of a word with several terms.
#[derive(Clone, Debug, Default)]
pub struct WordDocuments {
    /// Each of them once.
    pub(crate) distinct: Documents,
    /// Those of them that a term has with a higher frequency.
    pub(crate) higher: Documents,
}

impl WordDocuments {
    /// Of the rows of each term. `unite` is [`Union::new`], or returns a union that is known.
    pub fn new(terms: Vec<Rows>, mut unite: impl FnMut(&[Rows]) -> Arc<Union>) -> Self {
        let (mut distinct, mut higher) = (Vec::new(), Vec::new());
        for mut terms in overlapping(terms) {
            if let [rows] = terms.as_mut_slice() {
                distinct.append(rows);
                continue;
            }
            let union = unite(&terms);
            distinct.append(&mut terms[union.largest]);
            distinct.push(Arc::clone(&union.others));
            higher.push(Arc::clone(&union.higher));
        }
        Self { distinct: Documents::new(distinct.into_iter()), higher: Documents::new(higher.into_iter()) }
    }

    /// The number of documents that are not dead.
    #[must_use]
    pub fn live_count(&self, dead: &DeadDocuments) -> usize {
        self.distinct.live_count(dead)
    }

    /// The posting of a document, with the highest frequency of the terms.
    #[must_use]
    pub fn posting(&self, document: i64) -> Option<Posting> {
        self.higher.posting(document).or_else(|| self.distinct.posting(document))
    }
}

/// The rows of terms in groups whose ranges of documents do not overlap: a group of old rows stays the same when rows are added.
/// Each has the rows of those terms that have any.
fn overlapping(terms: Vec<Rows>) -> Vec<Vec<Rows>> {
    let mut rows: Vec<(i64, i64, usize, Arc<Row>)> = Vec::new();
    for (term, of_term) in terms.into_iter().enumerate() {
        rows.extend(in_order(of_term.into_iter()).into_iter().map(|(first, last, row)| (first, last, term, row)));
    }
    rows.sort_by_key(|(first, ..)| *first);
    let mut groups: Vec<Vec<(usize, Arc<Row>)>> = Vec::new();
    let mut end = i64::MIN;
    for (first, last, term, row) in rows {
        match groups.last_mut().filter(|_| first <= end) {
            Some(group) => group.push((term, row)),
            None => groups.push(vec![(term, row)]),
        }
        end = end.max(last);
    }
    let by_term = |mut group: Vec<(usize, Arc<Row>)>| {
        group.sort_by_key(|(term, row)| (*term, row.id()));
        let of_terms = group.chunk_by(|(a, _), (b, _)| a == b);
        of_terms.map(|rows| rows.iter().map(|(_, row)| Arc::clone(row)).collect()).collect()
    };
    groups.into_iter().map(by_term).collect()
}

/// The documents of several terms beside those of the largest, so that a search reads each of them about once. The term with the
/// most documents usually has nearly all of the others, as a stem has those of its forms. Its rows are not kept: a union of rows
/// that were merged meanwhile would keep them in memory.
#[derive(Debug)]
pub struct Union {
    /// The place of the term with the most documents.
    largest: usize,
    /// Documents that it does not have.
    others: Arc<Row>,
    /// Documents that it has with a lower frequency.
    higher: Arc<Row>,
}

impl Union {
    /// Of the rows of each term.
    #[must_use]
    pub fn new(terms: &[Rows]) -> Self {
        let counts = terms.iter().map(|rows| rows.iter().map(|row| row.count()).sum::<usize>()).enumerate();
        let largest = counts.max_by_key(|(_, count)| *count).map_or(0, |(largest, _)| largest);
        let known = Documents::new(terms.get(largest).into_iter().flatten().cloned());
        let (mut others, mut higher) = (Vec::new(), Vec::new());
        for (_, rows) in terms.iter().enumerate().filter(|(place, _)| *place != largest) {
            for mut lane in Documents::new(rows.iter().cloned()).cursors() {
                let mut known: Vec<Cursor<'_>> = known.cursors().collect();
                let mut postings = Vec::new();
                lane.read(i64::MAX, |block, places| block.read(places, &mut postings));
                for posting in postings {
                    let found = known.iter_mut().find_map(|lane| lane.posting_of(posting.document));
                    match found {
                        None => others.push(posting),
                        Some(found) if found.frequency < posting.frequency => higher.push(posting),
                        Some(_) => {}
                    }
                }
            }
        }
        Self { largest, others: Arc::new(packed(others)), higher: Arc::new(packed(higher)) }
    }

    /// The bytes that it takes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.others.memory() + self.higher.memory()
    }
}

/// A row of postings in any order, of which each document has its highest frequency.
fn packed(mut postings: Vec<Posting>) -> Row {
    postings.sort_unstable_by(|a, b| a.document.cmp(&b.document).then(b.frequency.cmp(&a.frequency)));
    postings.dedup_by_key(|posting| posting.document);
    Row::new(pack(&postings))
}

/// A posting of a lane, from which on others are read.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    /// The rows of the lane from that of the posting on.
    rows: &'a [Arc<Row>],
    block: usize,
    place: usize,
}

impl<'a> Cursor<'a> {
    /// The rows of the lane, if it has not moved.
    pub(crate) fn rows(&self) -> &'a [Arc<Row>] {
        self.rows
    }

    /// Moves to the first posting that is not before a document, and skips the blocks that are. `None`: there is none.
    pub(crate) fn seek(&mut self, document: i64) -> Option<(Block<'a>, usize)> {
        let row = loop {
            let (row, after) = self.rows.split_first()?;
            if row.range().is_some_and(|(_, last)| last >= document) && self.block < row.heads().len() {
                break row;
            }
            (self.rows, self.block, self.place) = (after, 0, 0);
        };
        let found = row.block_from(self.block, document);
        if found > self.block {
            (self.block, self.place) = (found, 0);
        }
        let block = row.block(self.block)?;
        self.place = block.place_of(document, self.place);
        Some((block, self.place))
    }

    /// The posting of a document, of which none after it was sought.
    pub(crate) fn posting_of(&mut self, document: i64) -> Option<Posting> {
        let (block, place) = self.seek(document)?;
        (block.document(place) == document).then(|| block.posting(place))
    }

    /// Reads the places of the postings up to those of the document `end`.
    pub(crate) fn read(&mut self, end: i64, mut each: impl FnMut(Block<'a>, Range<usize>)) {
        while let Some((row, after)) = self.rows.split_first() {
            while let Some(block) = row.block(self.block) {
                let is_whole = block.head.last <= end;
                let to = if is_whole { block.head.count() } else { block.place_of(end + 1, self.place) };
                each(block, self.place..to);
                self.place = to;
                if !is_whole {
                    return;
                }
                self.block += 1;
                self.place = 0;
            }
            (self.rows, self.block, self.place) = (after, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(documents: impl IntoIterator<Item = i64>, frequency: u32) -> Arc<Row> {
        let posting = |document| Posting { document, frequency, length: 10 };
        Arc::new(Row::new(pack(&documents.into_iter().map(posting).collect::<Vec<_>>())))
    }

    #[test]
    fn rows_that_do_not_overlap_are_united_apart() {
        let (old, new) = (row(0..100, 1), row(200..210, 1));
        let stems = vec![row(0..150, 1), row(205..220, 1), row(300..310, 1)];
        let mut sizes = Vec::new();
        let word = WordDocuments::new(vec![vec![old, new], stems], |terms| {
            sizes.push(terms.iter().map(|rows| rows.iter().map(|row| row.count()).sum::<usize>()).collect::<Vec<_>>());
            Arc::new(Union::new(terms))
        });
        assert_eq!(sizes, [[100, 150], [10, 15]], "the last row of stems has no forms beside it");
        assert_eq!(word.live_count(&DeadDocuments::default()), 150 + 20 + 10);
    }

    #[test]
    fn union_keeps_no_rows_of_the_terms() {
        let (forms, stems) = (vec![row(0..100, 1)], vec![row(0..150, 1), row(200..210, 1)]);
        let united = Union::new(&[forms.clone(), stems.clone()]);
        assert!(forms.iter().chain(&stems).all(|row| Arc::strong_count(row) == 1));
        assert_eq!((united.largest, united.others.count(), united.higher.count()), (1, 0, 0));
    }

    #[test]
    fn posting_of_a_word_is_that_of_the_highest_frequency() {
        let stems = vec![row(0..150, 2), row(200..210, 2)];
        let forms = vec![row([5, 6], 1), row([7, 160, 203], 3)];
        let word = WordDocuments::new(vec![forms, stems], |terms| Arc::new(Union::new(terms)));
        let frequency = |document| word.posting(document).map(|posting| posting.frequency);
        assert_eq!([5, 7, 160, 203, 209].map(frequency), [Some(2), Some(3), Some(3), Some(3), Some(2)]);
        assert_eq!([-1, 150, 204, 210].map(frequency), [None, None, Some(2), None]);
    }

    #[test]
    fn cursor_walks_over_the_rows_of_a_lane() {
        let documents = Documents::new([row(0..300, 1), row(400..402, 2), row(500..900, 3)].into_iter());
        assert_eq!(documents.lanes.len(), 1);
        let mut lane = documents.cursors().next().unwrap();
        let mut read = Vec::new();
        lane.read(400, |block, places| block.read(places, &mut read));
        assert!(read.into_iter().map(|posting| posting.document).eq((0..300).chain([400])));
        assert_eq!(lane.posting_of(401).map(|posting| posting.frequency), Some(2));
        assert_eq!(lane.posting_of(450), None);
        assert_eq!(lane.posting_of(899).map(|posting| posting.frequency), Some(3));
        assert!(lane.seek(900).is_none() && documents.contains(700) && !documents.contains(450));
    }
}
