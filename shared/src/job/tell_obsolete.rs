use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{FileId, PipelineId},
};

/// Tells the receiver of a `sink.webhook` that its deliveries of a file are obsolete.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TellObsolete {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The node.
    pub node: String,
    /// The file.
    pub file: FileId,
}

impl Job for TellObsolete {
    const KIND: &'static str = "webhook.tell_obsolete";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }
}
