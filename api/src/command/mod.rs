//! What `nvisy-api` does besides serving.

mod keys;
mod verify;

pub use keys::{KeysError, keys};
pub use verify::{Verified, VerifyError, verify_activity};
