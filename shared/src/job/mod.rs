//! The payloads of jobs: one type for each kind of work.
//!
//! Payloads contain ids, never data that can be read again: a job that waited an hour must see the state at the time when it
//! runs.

mod admit_items;
mod check_connection;
mod clear_space;
mod clear_target;
mod deliver_run;
mod embed_chunks;
mod enter_item;
mod fetch_objects;
mod fill_space;
mod query_connection;
mod retry_items;
mod run_evaluation;
mod run_items;
mod run_segment;
mod send_mail;
mod sync_source;

use serde::{Serialize, de::DeserializeOwned};

pub use admit_items::AdmitItems;
pub use check_connection::CheckConnection;
pub use clear_space::ClearSpace;
pub use clear_target::ClearTarget;
pub use deliver_run::DeliverRun;
pub use embed_chunks::EmbedChunks;
pub use enter_item::EnterItem;
pub use fetch_objects::FetchObjects;
pub use fill_space::FillSpace;
pub use query_connection::QueryConnection;
pub use retry_items::RetryItems;
pub use run_evaluation::RunEvaluation;
pub use run_items::RunItems;
pub use run_segment::RunSegment;
pub use send_mail::SendMail;
pub use sync_source::SyncSource;

use crate::{domain::job::Lane, id::RunId};

/// A kind of work.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its permanent name, also in metrics and dead jobs.
    const KIND: &'static str;
    /// Raised when the meaning of the payload changes. Workers that do not know a version leave the job to newer ones.
    const VERSION: i32;

    /// The lane of the resource that it needs most.
    fn lane(&self) -> Lane;

    /// Among the due jobs of a tenant and lane, those of a lower level are dispatched first: a job at the beginning of its
    /// run before one far into a longer run. 0 to 30.
    fn level(&self) -> i16 {
        0
    }

    /// The run that it works for: with the run, its jobs are cancelled.
    fn run(&self) -> Option<RunId> {
        None
    }
}
