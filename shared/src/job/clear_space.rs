use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::CollectionId};

/// Deletes the vectors of a collection's second space, which ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearSpace {
    /// The collection.
    pub collection: CollectionId,
}

impl Job for ClearSpace {
    const KIND: &'static str = "space.clear";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Extract
    }

    /// Behind the work for uploads and runs.
    fn level(&self) -> i16 {
        30
    }
}
