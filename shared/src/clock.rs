//! The wall clock, read here and nowhere else.

use chrono::{DateTime, Utc};

/// The time now, UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
