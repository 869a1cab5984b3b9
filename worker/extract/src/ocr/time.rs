//! The time of recognition, which does not count against that of reading a file: pages take seconds each, and files differ in them.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ExtractLimits;

/// The time that recognition has taken, and its limit.
#[derive(Default)]
pub(super) struct RecognitionTime {
    limit: Option<Duration>,
    spent: Duration,
    /// The limit of CPU time while nothing is recognised.
    cpu: Option<Rlimit>,
}

impl RecognitionTime {
    /// No time yet, within the limits of a file. The limit of CPU time that holds now is that of reading.
    pub(super) fn within(limits: &ExtractLimits) -> Self {
        let limit = Some(Duration::from_secs(limits.recognition_seconds()));
        Self { limit, spent: Duration::ZERO, cpu: Some(getrlimit(Resource::Cpu)) }
    }

    /// The time that was spent.
    pub(super) fn spent(&self) -> Duration {
        self.spent
    }

    /// Whether no further page is begun.
    pub(super) fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.spent >= limit)
    }

    /// Begins a page, whose CPU time is bounded by the hard limit alone.
    pub(super) fn begin(&self) -> Instant {
        if let Some(Rlimit { maximum: Some(maximum), .. }) = self.cpu {
            self.limit_cpu(maximum.saturating_sub(1));
        }
        Instant::now()
    }

    /// Ends a page: its time is added to the limit of reading.
    pub(super) fn end(&mut self, began: Instant) {
        self.spent += began.elapsed();
        if let Some(Rlimit { current: Some(current), maximum }) = self.cpu {
            let highest = maximum.map_or(u64::MAX, |maximum| maximum.saturating_sub(1));
            self.limit_cpu(extended(current, self.spent).min(highest.max(current)));
        }
    }

    fn limit_cpu(&self, seconds: u64) {
        let maximum = self.cpu.as_ref().and_then(|cpu| cpu.maximum);
        // Where it is refused, the process ends at the limit of reading.
        let _refused = setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum });
    }
}

/// A limit of CPU time in seconds to which the time of recognition is added: whole seconds, so the last one counts in full.
fn extended(seconds: u64, spent: Duration) -> u64 {
    seconds.saturating_add(spent.as_secs()).saturating_add(u64::from(spent.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_recognition_is_added_to_that_of_reading() {
        assert_eq!(extended(120, Duration::ZERO), 120);
        assert_eq!(extended(120, Duration::from_millis(2_500)), 123);
        let mut time = RecognitionTime::within(&ExtractLimits { wall_seconds: 1, ..ExtractLimits::default() });
        assert!(!time.is_over());
        time.spent = Duration::from_secs(10);
        assert!(time.is_over());
    }
}
