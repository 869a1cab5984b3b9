//! A question to a connection.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{domain::job::Lane, id::ConnectionQueryId};

/// Finds the streams or the first objects of a connection: credentials are opened in workers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryConnection {
    /// The question.
    pub query: ConnectionQueryId,
}

impl Job for QueryConnection {
    const KIND: &'static str = "connection.query";
    const VERSION: i32 = 1;

    // Not among files, because a person waits for it.
    fn lane(&self) -> Lane {
        Lane::Mail
    }
}
