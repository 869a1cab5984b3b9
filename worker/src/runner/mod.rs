//! Running jobs: slots pull them, attempts claim, run and complete them.

mod attempt;
mod backoff;
mod error;
mod fenced_tx;
mod heartbeat;
mod lane;
mod registry;
mod served_spaces;

pub use attempt::JobRunner;
pub use backoff::backoff;
pub use error::{FailedNode, JobError};
pub use fenced_tx::{complete_in_tx, write_in_tx};
pub use heartbeat::Heartbeats;
pub use lane::run as run_lane;
pub use registry::{Handler, Registry};
pub use served_spaces::ServedSpaces;
