//! The wall clock; no other module reads it.

use chrono::{DateTime, Utc};

/// The time now, UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this module reads the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
