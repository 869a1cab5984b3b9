//! Documents that a search leaves out.

use rustc_hash::FxHashSet;

use crate::{analysis::unit_of, postings::Block};

/// Documents that no search finds, although there are postings of them: those of whole units, and single ones.
#[derive(Clone, Debug, Default)]
pub struct DeadDocuments {
    units: FxHashSet<i64>,
    documents: FxHashSet<i64>,
    /// In order.
    sorted_units: Vec<i64>,
    /// In order.
    sorted_documents: Vec<i64>,
}

impl DeadDocuments {
    /// Of whole units and of single documents, in any order.
    #[must_use]
    pub fn new(units: impl IntoIterator<Item = i64>, documents: impl IntoIterator<Item = i64>) -> Self {
        let units: FxHashSet<i64> = units.into_iter().collect();
        let documents: FxHashSet<i64> = documents.into_iter().collect();
        Self { sorted_units: sorted(&units), sorted_documents: sorted(&documents), units, documents }
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

    /// The number of documents of a block that are not among them. Only the blocks that can have such documents are unpacked.
    pub(crate) fn live_in(&self, block: &Block<'_>) -> usize {
        let units = (unit_of(block.first), unit_of(block.last));
        if !has_between(&self.sorted_units, units) && !has_between(&self.sorted_documents, (block.first, block.last)) {
            return block.count();
        }
        self.live_among((0..block.count()).map(|place| block.document(place)))
    }

    /// The number of documents that are not among them. Those of a unit follow each other.
    pub(crate) fn live_among(&self, documents: impl Iterator<Item = i64>) -> usize {
        let (mut unit, mut is_live) = (None, true);
        let live = documents.filter(|document| {
            let of = unit_of(*document);
            if unit != Some(of) {
                (unit, is_live) = (Some(of), !self.has_unit(of));
            }
            is_live && !self.has_document(*document)
        });
        live.count()
    }
}

fn sorted(numbers: &FxHashSet<i64>) -> Vec<i64> {
    let mut sorted: Vec<i64> = numbers.iter().copied().collect();
    sorted.sort_unstable();
    sorted
}

/// Whether there is a number in a range.
fn has_between(sorted: &[i64], (first, last): (i64, i64)) -> bool {
    let next = sorted.partition_point(|number| *number < first);
    sorted.get(next).is_some_and(|number| *number <= last)
}
