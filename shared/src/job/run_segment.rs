//! A segment of a run, for one item.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::{
        job::Lane,
        run::{RunPriority, Units},
    },
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
    pub priority: RunPriority,
}

impl Job for RunSegment {
    const KIND: &'static str = "run.segment";
    const VERSION: i32 = 2;

    fn lane(&self) -> Lane {
        self.lane.unwrap_or(Lane::Extract)
    }

    /// Doubles its distance with each level, so that a short file overtakes a long one, and two long ones take turns. All jobs of a
    /// run of lower priority are further away, those of its first segments too: an upload does not wait for the files of a run.
    fn level(&self) -> i16 {
        let first = self.units.map_or(0, |units| units.first);
        let level = i16::try_from((first / LEVEL_ELEMENTS + 1).ilog2()).unwrap_or_default();
        let behind = match self.priority {
            RunPriority::Arrival => 0,
            RunPriority::Bulk => BULK_LEVELS,
            RunPriority::Low => LOW_LEVELS,
        };
        (level + behind).min(MAX_LEVEL)
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}

/// Elements of a file that are on level 0.
const LEVEL_ELEMENTS: u32 = 8;
/// How many levels a run over many files stands behind an upload: behind one of 2,000 elements.
const BULK_LEVELS: i16 = 8;
/// How many levels a run of low priority stands behind an upload: twelve more than a run over many files, so behind a file of
/// 32,000 elements in it.
const LOW_LEVELS: i16 = 20;
/// The highest level.
const MAX_LEVEL: i16 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn level(first: u32, priority: RunPriority) -> i16 {
        let units = Some(Units { first, end: first + 8 });
        let (run, item) = (RunId::new(), ItemId::new());
        RunSegment { run, item, segment: 1, units, lane: None, priority }.level()
    }

    #[test]
    fn level_rises_with_the_logarithm_of_the_first_element() {
        let levels = [0, 7, 8, 23, 24, 55, 13_000].map(|first| level(first, RunPriority::Arrival));
        assert_eq!(levels, [0, 0, 1, 1, 2, 2, 10]);
        assert_eq!(level(u32::MAX - 8, RunPriority::Arrival), 28);
    }

    #[test]
    fn run_over_many_files_stands_behind_an_upload() {
        assert!(level(0, RunPriority::Bulk) > level(2_000 - 8, RunPriority::Arrival));
        assert_eq!(level(u32::MAX - 8, RunPriority::Bulk), MAX_LEVEL);
    }

    #[test]
    fn low_priority_stands_behind_a_long_file_of_another_run() {
        assert!(level(0, RunPriority::Low) > level(13_000, RunPriority::Bulk));
        assert_eq!(level(u32::MAX - 8, RunPriority::Low), MAX_LEVEL);
    }
}
