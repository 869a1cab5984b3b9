//! What `nvisy-api` does besides serving.

mod adopt_signing_keys;
mod allow_sign_up;
mod doctor;
mod keys;
mod operator;
mod quota;
mod schema;
mod suspend;
mod verify_activity;

pub use adopt_signing_keys::{AdoptError, adopt_signing_keys};
pub use allow_sign_up::{AdmitError, admit};
pub use doctor::doctor;
pub use keys::{KeysError, keys};
pub use operator::OperatorError;
pub use quota::{QuotaError, quota};
pub use schema::differences;
pub use suspend::{SuspendError, suspend};
pub use verify_activity::{Verified, VerifyError, verify_activity};
