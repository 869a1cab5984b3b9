//! The times of a schedule: cron expressions in a time zone.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::node::source_files::Schedule;

/// Why a schedule is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression.
    #[error("`{0}` is no cron expression: {1}")]
    Cron(String, String),
    /// The time zone.
    #[error("`{0}` is no time zone of the IANA database")]
    TimeZone(String),
    /// No time fits.
    #[error("`{0}` never happens")]
    Never(String),
}

impl Schedule {
    /// The first time after `after`. A time that the change to summer time skips happens at the end of the gap; one that the change
    /// back doubles happens once.
    ///
    /// # Errors
    /// When the schedule is not valid, or has no further time.
    pub fn next_after(&self, after: DateTime<Utc>) -> Result<DateTime<Utc>, ScheduleError> {
        let zone = Tz::from_str(&self.time_zone).map_err(|_| ScheduleError::TimeZone(self.time_zone.clone()))?;
        let cron =
            Cron::from_str(&self.cron).map_err(|error| ScheduleError::Cron(self.cron.clone(), error.to_string()))?;
        let next = cron.find_next_occurrence(&after.with_timezone(&zone), false);
        next.map(|next| next.with_timezone(&Utc)).map_err(|_| ScheduleError::Never(self.cron.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::node::source_files::Missed;

    fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule { cron: cron.to_owned(), time_zone: zone.to_owned(), missed: Missed::Once };
        let mut at = DateTime::parse_from_rfc3339(after).unwrap().with_timezone(&Utc);
        let next = |_| {
            at = schedule.next_after(at).unwrap();
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn time_is_that_of_the_zone() {
        assert_eq!(
            times("0 3 * * *", "Europe/Berlin", "2026-01-10T12:00:00Z", 2),
            ["2026-01-11T02:00:00Z", "2026-01-12T02:00:00Z"]
        );
        assert_eq!(times("0 3 * * *", "UTC", "2026-01-10T12:00:00Z", 1), ["2026-01-11T03:00:00Z"]);
    }

    #[test]
    fn skipped_hour_happens_at_the_end_of_the_gap_and_doubled_hour_once() {
        // On 29 March 2026 the clock goes from 2:00 to 3:00 (1:00 UTC); on 25 October from 3:00 back to 2:00.
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn invalid_schedules_say_why() {
        let error = |cron: &str, zone: &str| {
            Schedule { cron: cron.to_owned(), time_zone: zone.to_owned(), missed: Missed::Once }
                .next_after(crate::clock::now())
                .unwrap_err()
        };
        assert!(matches!(error("61 * * * *", "UTC"), ScheduleError::Cron(..)));
        assert!(matches!(error("every day", "UTC"), ScheduleError::Cron(..)));
        assert!(matches!(error("0 3 * * *", "Europe/Atlantis"), ScheduleError::TimeZone(_)));
        assert!(matches!(error("0 3 30 2 *", "UTC"), ScheduleError::Never(_)));
    }
}
