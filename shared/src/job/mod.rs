//! What jobs carry: one type for each kind of work.
//!
//! Payloads hold ids, never data that can be read again: a job that waited an hour must see the
//! world as it is when it runs.

mod run_batch;
mod run_segment;
mod send_mail;

use serde::{Serialize, de::DeserializeOwned};

pub use run_batch::RunBatch;
pub use run_segment::RunSegment;
pub use send_mail::SendMail;

use crate::domain::job::Lane;

/// A kind of work.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name for ever; also in metrics and dead letters.
    const KIND: &'static str;
    /// Raised when the payload changes its meaning. Workers that do not know a version leave the
    /// job to those that do.
    const VERSION: i32;
    /// What it mostly needs.
    const LANE: Lane;
}
