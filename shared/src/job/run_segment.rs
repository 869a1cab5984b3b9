//! The first segment of a run, for one item.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::ItemId};

/// Runs the segment that begins at the source: reads the file and leaves chunks at its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSegment {
    /// The item.
    pub item: ItemId,
}

impl Job for RunSegment {
    const KIND: &'static str = "run.segment";
    const VERSION: i32 = 1;
    const LANE: Lane = Lane::Extract;
}
