//! The source of a run.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::RunId};

/// Adds the next page of a run's files as items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitItems {
    /// The run.
    pub run: RunId,
}

impl Job for AdmitItems {
    const KIND: &'static str = "run.admit";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Extract
    }

    fn run(&self) -> Option<RunId> {
        Some(self.run)
    }
}
