//! Reading objects of a connection.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{BatchId, RunId},
};

/// Reads a batch of objects, and makes them files and items of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchObjects {
    /// The run.
    pub run: RunId,
    /// The source of the pipeline.
    pub node: String,
    /// The objects.
    pub batch: BatchId,
}

impl Job for FetchObjects {
    const KIND: &'static str = "source.fetch";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Source
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}
