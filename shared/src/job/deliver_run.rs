//! The message that a run has ended.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::RunId};

/// Tells the receiver that a request named that its run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverRun {
    /// The run. Its cancellation, which deletes its jobs, is an end as well.
    pub run: RunId,
}

impl Job for DeliverRun {
    const KIND: &'static str = "run.deliver";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }
}
