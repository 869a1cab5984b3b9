//! What `nvisy-api` does besides serving.

mod keys;
mod quota;
mod verify;

pub use keys::{KeysError, keys};
pub use quota::{QuotaError, quota};
pub use verify::{Verified, VerifyError, verify_activity};
