//! How an attempt can end other than well. A handler's every `?` chooses one of these.

use std::{error::Error, time::Duration};

use nvisy_shared::{domain::failure::Failure, store};

/// Why a handler stopped.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The claim is in other hands or gone: write nothing more.
    #[error("the job is no longer ours")]
    Lost,
    /// What the job was about is deleted or decided: nothing is left to do.
    #[error("there is nothing left to do")]
    Gone,
    /// Somebody is busy and said when to come back; costs no attempt.
    #[error("busy, to be tried again in {0:?}")]
    Busy(Duration),
    /// What the job needs is away or refuses to serve us, until somebody sees to it; costs no attempt.
    #[error("{what}")]
    Away {
        /// What was being done.
        what: &'static str,
        /// When to look again.
        delay: Duration,
        /// Why it did not work.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It may work another time; costs an attempt.
    #[error("{what}")]
    Retry {
        /// What was being done.
        what: &'static str,
        /// Why it did not work.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It will never work, and this is what to tell the user.
    #[error("{}", .0.detail)]
    Fail(Failure),
}

impl JobError {
    /// A [`JobError::Retry`] that says what was being done.
    pub fn retry<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Retry { what, source: source.into() }
    }

    /// A [`JobError::Away`] that says where there is no room: somebody has to make some.
    pub fn no_room<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Away { what, delay: FULL, source: source.into() }
    }
}

/// A database that fails is a database that may be restarting.
impl From<store::Error> for JobError {
    fn from(source: store::Error) -> Self {
        if store::is_full(&source) {
            return Self::no_room("the disk of PostgreSQL is full")(source);
        }
        Self::retry("the database failed")(source)
    }
}

/// When to look again whether there is room.
const FULL: Duration = Duration::from_secs(15);
/// Longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(300);

/// The wait after failed attempt number `attempt`: doubling, between half and all of it, so that
/// jobs that failed together do not come back together. `seed` makes the choice.
#[must_use]
pub fn backoff(first: Duration, attempt: i32, seed: u128) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    let whole = first.saturating_mul(1 << doublings).min(LONGEST);
    // Ids end in random bits; attempts of one job must differ too.
    let share = (seed.rotate_left(doublings) & 0xff) as u32;
    whole / 2 + (whole / 2) * share / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds() {
        let first = Duration::from_secs(1);
        for seed in [0, 0xff, 0x1234_5678_9abc_def0] {
            let wait = |attempt| backoff(first, attempt, seed);
            assert!(wait(1) >= first / 2 && wait(1) <= first);
            assert!(wait(4) >= 4 * first && wait(4) <= 8 * first);
            assert!(wait(60) <= LONGEST && wait(60) >= LONGEST / 2);
        }
        assert_ne!(backoff(first, 3, 0x10), backoff(first, 3, 0x7f));
    }
}
