//! When a relay reads which rows: those of a notification at once, and all of them now and then.

use std::time::{Duration, Instant};

/// How long a relay leaves the jobs to another one that publishes them: if that one ends, they wait so long.
const TURN_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Rows that a relay reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// Those of jobs.
    pub(super) jobs: bool,
    /// Those of events.
    pub(super) events: bool,
}

/// What a relay has been notified of, and when it reads rows without a notification.
#[derive(Debug)]
pub(super) struct Pace {
    poll: Duration,
    /// When all rows are read.
    poll_at: Instant,
    /// Rows that may be there.
    pending: Rows,
    /// When jobs are read again, after another relay had the turn.
    jobs_at: Instant,
}

impl Pace {
    /// All rows may be there.
    pub(super) fn new(poll: Duration, now: Instant) -> Self {
        Self { poll, poll_at: now, pending: Rows::default(), jobs_at: now }
    }

    /// Notes a notification, whose payload is the table.
    pub(super) fn notify(&mut self, payload: &str) {
        // A table that only a newer version knows has rows of both kinds.
        self.pending.jobs |= payload != "event";
        self.pending.events |= payload != "job";
    }

    /// Lets all rows be read: notifications may have been lost.
    pub(super) const fn notify_all(&mut self) {
        self.pending = Rows { jobs: true, events: true };
    }

    /// Leaves the jobs to another relay, for a while.
    pub(super) fn leave_jobs(&mut self, now: Instant) {
        self.pending.jobs = true;
        self.jobs_at = now + TURN_RETRY_DELAY;
    }

    /// The rows to be read now.
    pub(super) fn take(&mut self, now: Instant) -> Rows {
        if now >= self.poll_at {
            self.poll_at = now + self.poll;
            self.notify_all();
        }
        let due = Rows { jobs: self.pending.jobs && now >= self.jobs_at, events: self.pending.events };
        self.pending.jobs &= !due.jobs;
        self.pending.events = false;
        due
    }

    /// How long there is nothing to read without a notification.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let until = match self.pending {
            Rows { events: true, .. } => now,
            Rows { jobs: true, .. } => self.jobs_at.min(self.poll_at),
            _ => self.poll_at,
        };
        until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rows = Rows { jobs: true, events: true };
    const JOBS: Rows = Rows { jobs: true, events: false };
    const EVENTS: Rows = Rows { jobs: false, events: true };
    const POLL: Duration = Duration::from_secs(1);

    /// A pace after its first round.
    fn pace(now: Instant) -> Pace {
        let mut pace = Pace::new(POLL, now);
        assert_eq!(pace.take(now), ALL);
        pace
    }

    #[test]
    fn rows_of_a_notification_are_read_alone_and_once() {
        let now = Instant::now();
        for (payload, rows) in [("job", JOBS), ("event", EVENTS), ("other", ALL)] {
            let mut pace = pace(now);
            assert_eq!((pace.take(now), pace.wait(now)), (Rows::default(), POLL));
            pace.notify(payload);
            assert_eq!(pace.wait(now), Duration::ZERO);
            assert_eq!((pace.take(now), pace.take(now)), (rows, Rows::default()));
        }
    }

    #[test]
    fn all_rows_are_read_at_each_poll_whatever_is_notified_meanwhile() {
        let now = Instant::now();
        let mut pace = pace(now);
        for millis in (0..1000).step_by(10) {
            pace.notify("event");
            assert_eq!(pace.take(now + Duration::from_millis(millis)), EVENTS);
        }
        pace.notify("event");
        assert_eq!(pace.take(now + POLL), ALL);
        assert_eq!(pace.wait(now + POLL), POLL);
    }

    #[test]
    fn relay_without_the_turn_reads_events_at_once_and_jobs_later() {
        let now = Instant::now();
        let mut pace = pace(now);
        pace.leave_jobs(now);
        pace.notify("job");
        pace.notify("event");
        assert_eq!(pace.take(now), EVENTS);
        assert_eq!(pace.wait(now), TURN_RETRY_DELAY);
        assert_eq!(pace.take(now + TURN_RETRY_DELAY), JOBS);
        assert_eq!(pace.take(now + TURN_RETRY_DELAY), Rows::default());
    }
}
