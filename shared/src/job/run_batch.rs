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
}
