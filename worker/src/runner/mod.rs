//! Running jobs: slots pull them, attempts claim and settle them.

mod attempt;
mod error;
mod fenced_tx;
mod heartbeat;
mod lane;
mod registry;

pub use attempt::Attempts;
pub use error::{JobError, backoff};
pub use fenced_tx::{begin, settle};
pub use heartbeat::Heartbeats;
pub use lane::run as run_lane;
pub use registry::{Handler, Registry};
