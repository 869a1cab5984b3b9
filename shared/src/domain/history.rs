//! The past of collections: its times and limits.

use chrono::{DateTime, Datelike, Utc};

/// Maximum number of days for which a collection keeps what new results replace.
pub const MAX_HISTORY_DAYS: i32 = 3_650;
/// Maximum number of snapshots of a workspace.
pub const MAX_SNAPSHOTS: u64 = 100;

/// An RFC 3339 time. `None`: it is none, or its year has not four digits in UTC, so that it could not be written again.
#[must_use]
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (1..=9_999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_year_of_four_digits() {
        let time = |text| parse_time(text).map(|time| time.to_rfc3339());
        assert_eq!(time("2026-01-31T12:00:00+02:00").as_deref(), Some("2026-01-31T10:00:00+00:00"));
        for text in ["0000-01-01T00:00:00+23:59", "0000-06-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2026-01-31", ""]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
