//! A segment of a run, for one item.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::{job::Lane, run::Units},
    id::{ItemId, RunId},
};

/// Runs a segment of a plan for an item: all of it, or for some of the elements that enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSegment {
    /// The run.
    pub run: RunId,
    /// The item.
    pub item: ItemId,
    /// Index of the segment in the plan.
    pub segment: usize,
    /// The elements, where the segment is divided into units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// The lane of the segment.
    #[serde(skip)]
    pub lane: Option<Lane>,
    /// Whether jobs of other runs come first.
    #[serde(skip)]
    pub low_priority: bool,
}

impl Job for RunSegment {
    const KIND: &'static str = "run.segment";
    const VERSION: i32 = 2;

    fn lane(&self) -> Lane {
        self.lane.unwrap_or(Lane::Extract)
    }

    /// Doubles its distance with each level, so that a short file overtakes a long one, and two long ones take turns.
    fn level(&self) -> i16 {
        let first = self.units.map_or(0, |units| units.first);
        let level = i16::try_from((first / LEVEL_ELEMENTS + 1).ilog2()).unwrap_or_default();
        if self.low_priority { (level + LOW_PRIORITY_LEVELS).min(MAX_LEVEL) } else { level.min(MAX_LEVEL) }
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}

/// Elements of a file that are on level 0.
const LEVEL_ELEMENTS: u32 = 8;
/// How many levels a run of low priority stands behind others: behind a file of 32,000 elements.
const LOW_PRIORITY_LEVELS: i16 = 12;
/// The highest level.
const MAX_LEVEL: i16 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn level(first: u32, low_priority: bool) -> i16 {
        let units = Some(Units { first, end: first + 8 });
        let (run, item) = (RunId::new(), ItemId::new());
        RunSegment { run, item, segment: 1, units, lane: None, low_priority }.level()
    }

    #[test]
    fn level_rises_with_the_logarithm_of_the_first_element() {
        assert_eq!([0, 7, 8, 23, 24, 55, 13_000].map(|first| level(first, false)), [0, 0, 1, 1, 2, 2, 10]);
        assert_eq!(level(u32::MAX - 8, false), 28);
    }

    #[test]
    fn low_priority_stands_behind_a_long_file() {
        assert!(level(0, true) > level(13_000, false));
        assert_eq!(level(u32::MAX - 8, true), MAX_LEVEL);
    }
}
