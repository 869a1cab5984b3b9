//! Running jobs: slots pull them, attempts claim and settle them.

mod attempt;
mod heart;
mod lane;
mod outcome;
mod registry;
mod settle;

pub use attempt::Attempts;
pub use heart::Heart;
pub use lane::run as run_lane;
pub use outcome::{JobError, backoff};
pub use registry::{Handler, Registry};
pub use settle::{begin, settle};
