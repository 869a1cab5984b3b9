//! The listing of a connection.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::RunId};

/// Lists the objects of a connection for a run, page by page, and finds those that are new, changed or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncSource {
    /// The run.
    pub run: RunId,
}

impl Job for SyncSource {
    const KIND: &'static str = "source.sync";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Source
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}
