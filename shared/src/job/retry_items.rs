//! Failed items of many runs, to be repeated.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::{job::Lane, run::FailedItems},
    id::ItemId,
};

/// Puts the next failed items of a workspace's runs back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryItems {
    /// Which ones.
    pub items: FailedItems,
    /// The time of the request: an item that fails later is not repeated for it.
    pub until: DateTime<Utc>,
    /// The last item of the batch before.
    pub after: Option<ItemId>,
    /// The largest number of further ones.
    pub left: u32,
}

impl Job for RetryItems {
    const KIND: &'static str = "run.retry";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Extract
    }

    /// Behind the work for uploads and runs, which the items become.
    fn level(&self) -> i16 {
        30
    }
}
