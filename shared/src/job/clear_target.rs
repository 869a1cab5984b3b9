use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{FileId, PipelineId},
};

/// Removes what a sink has written outside and is obsolete: tells the receiver of requests, or deletes rows behind a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClearTarget {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The node.
    pub node: String,
    /// The file.
    pub file: FileId,
    /// The hash of the place.
    pub destination: String,
}

impl Job for ClearTarget {
    const KIND: &'static str = "target.clear";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }
}
