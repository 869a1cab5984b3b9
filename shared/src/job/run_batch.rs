//! A segment behind a border, for some of an item's chunks.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::ItemId};

/// Runs a segment that begins at a border, for the chunks with ordinals `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBatch {
    /// The item.
    pub item: ItemId,
    /// Index of the segment in the compiled plan.
    pub segment: usize,
    /// First ordinal.
    pub first: i32,
    /// One past the last ordinal.
    pub end: i32,
}

impl Job for RunBatch {
    const KIND: &'static str = "run.batch";
    const VERSION: i32 = 1;
    const LANE: Lane = Lane::Model;

    /// Doubles its distance with each level, so that a short file overtakes a long one, and two long ones take turns.
    fn level(&self) -> i16 {
        i16::try_from((self.first.max(0) / LEVEL_CHUNKS + 1).ilog2()).unwrap_or_default()
    }
}

/// Chunks of a file that are on level 0.
const LEVEL_CHUNKS: i32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_rises_with_the_logarithm_of_the_first_chunk() {
        let level = |first| RunBatch { item: ItemId::new(), segment: 1, first, end: first + 8 }.level();
        assert_eq!([0, 7, 8, 23, 24, 55, 13_000].map(level), [0, 0, 1, 1, 2, 2, 10]);
        assert_eq!(level(i32::MAX - 8), 27);
    }
}
