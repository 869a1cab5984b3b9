use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::CollectionId};

/// Computes the next vectors of a collection's second space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillSpace {
    /// The collection.
    pub collection: CollectionId,
    /// The epoch of the work: after it began anew, jobs of earlier epochs do nothing.
    pub epoch: i32,
}

impl Job for FillSpace {
    const KIND: &'static str = "space.fill";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }

    /// Behind the work for uploads and runs.
    fn level(&self) -> i16 {
        30
    }
}
