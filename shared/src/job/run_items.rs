//! The first segment of a run, for several items.

use serde::{Deserialize, Serialize};

use super::{Job, RunSegment};
use crate::{
    domain::{job::Lane, run::RunPriority},
    id::{ItemId, RunId},
};

/// Runs the first segment of a plan for items that have entered together. Quick items share transactions; one that fails, and the
/// others of a slow one, get a [`RunSegment`] of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunItems {
    /// The run.
    pub run: RunId,
    /// The items.
    pub items: Vec<ItemId>,
    /// Index of the segment in the plan.
    pub segment: usize,
    /// Whether jobs of other runs come first.
    #[serde(skip)]
    pub priority: RunPriority,
}

impl RunItems {
    /// The job of one of the items.
    #[must_use]
    pub const fn of_item(&self, item: ItemId, priority: RunPriority) -> RunSegment {
        let (run, segment, lane) = (self.run, self.segment, Some(Lane::Extract));
        RunSegment { run, item, segment, units: None, lane, priority }
    }
}

impl Job for RunItems {
    const KIND: &'static str = "run.items";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Extract
    }

    fn level(&self) -> i16 {
        self.items.first().map_or(0, |item| self.of_item(*item, self.priority).level())
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}
