//! A check of a connection.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{CheckId, ConnectionId},
};

/// Checks a connection: credentials are opened in workers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckConnection {
    /// The connection.
    pub connection: ConnectionId,
    /// The request for this check; a newer one makes it obsolete.
    pub check: CheckId,
}

impl Job for CheckConnection {
    const KIND: &'static str = "connection.check";
    const VERSION: i32 = 1;

    // Not among files, because a person waits for it, and it is as short as a mail.
    fn lane(&self) -> Lane {
        Lane::Mail
    }
}
