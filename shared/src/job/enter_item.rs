//! An item whose place in the plan is not known yet.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{ItemId, PipelineId, RunId},
};

/// Finds the source where the file of an item enters: the process that accepted the file could not compile the definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnterItem {
    /// The run.
    pub run: RunId,
    /// The item.
    pub item: ItemId,
    /// The pipeline that the upload named.
    pub pipeline: Option<PipelineId>,
    /// The collection that the upload is for.
    pub collection: Option<String>,
}

impl Job for EnterItem {
    const KIND: &'static str = "run.enter";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Extract
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}
