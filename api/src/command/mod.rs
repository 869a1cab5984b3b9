//! What `nvisy-api` does besides serving.

mod admit;
mod adopt;
mod doctor;
mod keys;
mod operator;
mod quota;
mod schema;
mod suspend;
mod verify;

pub use admit::{AdmitError, admit};
pub use adopt::{AdoptError, adopt_signing_keys};
pub use doctor::doctor;
pub use keys::{KeysError, keys};
pub use operator::OperatorError;
pub use quota::{QuotaError, quota};
pub use schema::differences;
pub use suspend::{SuspendError, suspend};
pub use verify::{Verified, VerifyError, verify_activity};
