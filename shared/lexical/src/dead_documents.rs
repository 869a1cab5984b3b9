//! Documents that a search leaves out.

use rustc_hash::FxHashSet;

use crate::{
    document_number::{document, unit_of},
    documents::Cursor,
};

/// Documents that no search finds, although there are postings of them: those of whole units, and single ones.
#[derive(Clone, Debug, Default)]
pub struct DeadDocuments {
    units: FxHashSet<i64>,
    documents: FxHashSet<i64>,
    sorted_units: Sorted,
    sorted_documents: Sorted,
}

/// Tells which documents of a range are dead. Others have another one, unless two sums of 64 bits are equal by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    units: u64,
    documents: u64,
}

impl DeadDocuments {
    /// Of whole units and of single documents, in any order.
    #[must_use]
    pub fn new(units: impl IntoIterator<Item = i64>, documents: impl IntoIterator<Item = i64>) -> Self {
        let units: FxHashSet<i64> = units.into_iter().collect();
        let documents: FxHashSet<i64> = documents.into_iter().collect();
        Self { sorted_units: Sorted::new(&units), sorted_documents: Sorted::new(&documents), units, documents }
    }

    pub(crate) fn fingerprint(&self, (first, last): (i64, i64)) -> Fingerprint {
        Fingerprint {
            units: self.sorted_units.sum(unit_of(first), unit_of(last)),
            documents: self.sorted_documents.sum(first, last),
        }
    }

    /// Whether all documents of a unit are among them.
    #[must_use]
    pub fn has_unit(&self, unit: i64) -> bool {
        self.units.contains(&unit)
    }

    /// Whether a document is among the single ones.
    #[must_use]
    pub fn has_document(&self, document: i64) -> bool {
        !self.documents.is_empty() && self.documents.contains(&document)
    }

    /// Whether a document is among them, or its unit.
    #[must_use]
    pub fn has(&self, document: i64) -> bool {
        self.has_unit(unit_of(document)) || self.has_document(document)
    }

    /// The number of documents of a lane, from its beginning, that are among them. The shorter of both lists decides how many steps
    /// are taken.
    pub(crate) fn count_in(&self, lane: Cursor<'_>) -> usize {
        self.of_units_in(lane.clone()) + self.single_in(lane)
    }

    fn of_units_in(&self, mut lane: Cursor<'_>) -> usize {
        let (mut units, mut count) = (self.sorted_units.numbers.as_slice(), 0);
        let Some(mut from) = units.first().map(|unit| document(*unit, 0)) else { return 0 };
        while let Some((block, place)) = lane.seek(from) {
            let unit = unit_of(block.document(place));
            units = from_number(units, unit);
            let Some(dead) = units.first() else { break };
            from = document(*dead, 0);
            if *dead == unit {
                from = document(unit + 1, 0);
                lane.read(from - 1, |_, places| count += places.len());
            }
        }
        count
    }

    fn single_in(&self, mut lane: Cursor<'_>) -> usize {
        let (mut documents, mut count) = (self.sorted_documents.numbers.as_slice(), 0);
        let Some(mut from) = documents.first().copied() else { return 0 };
        while let Some((block, place)) = lane.seek(from) {
            let document = block.document(place);
            documents = from_number(documents, document);
            let Some(dead) = documents.first() else { break };
            from = *dead;
            if *dead == document {
                count += usize::from(!self.has_unit(unit_of(document)));
                from += 1;
            }
        }
        count
    }
}

/// Numbers in order.
#[derive(Clone, Debug, Default)]
struct Sorted {
    numbers: Vec<i64>,
    /// The sum of the hashes of the numbers before each, and of all.
    sums: Vec<u64>,
}

impl Sorted {
    fn new(numbers: &FxHashSet<i64>) -> Self {
        let mut numbers: Vec<i64> = numbers.iter().copied().collect();
        numbers.sort_unstable();
        let mut sum: u64 = 0;
        let after = numbers.iter().map(|number| {
            sum = sum.wrapping_add(hash(*number));
            sum
        });
        let sums = std::iter::once(0).chain(after).collect();
        Self { numbers, sums }
    }

    /// The sum of the hashes of the numbers in a range.
    fn sum(&self, first: i64, last: i64) -> u64 {
        let before = self.numbers.partition_point(|number| *number < first);
        let end = self.numbers.partition_point(|number| *number <= last);
        let at = |place: usize| self.sums.get(place).copied().unwrap_or_default();
        at(end).wrapping_sub(at(before))
    }
}

/// Every bit depends on all bits of the number (the finaliser of SplitMix64).
fn hash(number: i64) -> u64 {
    let mut hash = number.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The numbers from this one on.
fn from_number(sorted: &[i64], number: i64) -> &[i64] {
    &sorted[sorted.partition_point(|other| *other < number)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_that_of_the_dead_documents_in_the_range() {
        let dead = DeadDocuments::new([3, 8, 20], [document(5, 1), document(9, 2)]);
        let range = (document(4, 0), document(9, 7));
        let same = DeadDocuments::new([8, 21, 1], [document(9, 2), document(5, 1), document(9, 8)]);
        assert_eq!(dead.fingerprint(range), same.fingerprint(range));
        for other in [
            DeadDocuments::new([8], [document(5, 1)]),
            DeadDocuments::new([8, 9], [document(5, 1), document(9, 2)]),
            DeadDocuments::new([7], [document(5, 1), document(9, 2)]),
            DeadDocuments::default(),
        ] {
            assert_ne!(dead.fingerprint(range), other.fingerprint(range));
        }
    }
}
