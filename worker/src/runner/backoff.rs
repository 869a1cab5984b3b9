//! The wait between two attempts at a job.

use std::time::Duration;

/// Longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// The wait after failed attempt number `attempt`. It doubles with each attempt; `seed` picks a point between half and all of
/// it, so that jobs that failed together do not come back together.
#[must_use]
pub fn backoff(first: Duration, attempt: i32, seed: u128) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    let whole = first.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    // Ids end in random bits; the attempts of one job must differ too.
    let share = (seed.rotate_left(doublings) & 0xff) as u32;
    whole / 2 + (whole / 2) * share / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_bounds_and_differs_by_seed() {
        let first = Duration::from_secs(1);
        for seed in [0, 0xff, 0x1234_5678_9abc_def0] {
            let wait = |attempt| backoff(first, attempt, seed);
            assert!(wait(1) >= first / 2 && wait(1) <= first);
            assert!(wait(4) >= 4 * first && wait(4) <= 8 * first);
            assert!(wait(60) <= MAX_BACKOFF && wait(60) >= MAX_BACKOFF / 2);
        }
        assert_ne!(backoff(first, 3, 0x10), backoff(first, 3, 0x7f));
    }
}
