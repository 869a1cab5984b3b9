//! The numbers of documents in postings.

/// The maximum number of chunks of a unit: the number of a document has this many places for each unit.
pub const UNIT_CHUNKS: usize = 1 << 12;

/// The number of a document: a chunk's place in a unit.
#[must_use]
pub const fn document(unit: i64, place: usize) -> i64 {
    unit * UNIT_CHUNKS as i64 + place as i64
}

/// The unit of a document.
#[must_use]
pub const fn unit_of(document: i64) -> i64 {
    document.div_euclid(UNIT_CHUNKS as i64)
}
