//! One caller's bucket, as this process knows it: requests it holds already, and what the shared one held when it asked.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nvisy_shared::store::limit::{Grant, Rate};

/// Requests that were taken and not made are given up after this; the shared bucket has filled up meanwhile.
const HELD: Duration = Duration::from_secs(10);
/// Without the shared bucket, each process goes on alone for so long before it asks again.
const ALONE: Duration = Duration::from_secs(1);

/// What a process holds of a shared bucket.
#[derive(Debug)]
pub struct Bucket {
    lease: Mutex<Lease>,
    /// Of many requests that find nothing, one asks for all.
    pub asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    left: u32,
    shared: f64,
    until: Instant,
    /// The shared bucket is empty until then.
    empty: Option<Instant>,
    /// When it was last found so.
    emptied: Option<Instant>,
    /// Until then this process has granted a whole bucket by itself.
    alone: Option<Instant>,
    /// What is left was granted by this process, not by the shared bucket.
    own: bool,
    used: Instant,
}

/// What the lease says about one more request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spent {
    /// It may be made; so many may be made after it.
    Yes { remaining: u32 },
    /// Not before that time.
    No { wait: Duration },
    /// Nobody here knows: ask the shared bucket.
    Ask,
}

impl Bucket {
    pub fn new(now: Instant) -> Self {
        let lease =
            Lease { left: 0, shared: 0.0, until: now, empty: None, emptied: None, alone: None, own: false, used: now };
        Self { lease: Mutex::new(lease), asking: tokio::sync::Mutex::new(()) }
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn spend(&self, now: Instant) -> Spent {
        let mut lease = self.lease();
        lease.used = now;
        if let Some(wait) =
            lease.empty.and_then(|empty| empty.checked_duration_since(now)).filter(|wait| !wait.is_zero())
        {
            return Spent::No { wait };
        }
        if lease.left == 0 || lease.until <= now {
            return Spent::Ask;
        }
        lease.left -= 1;
        Spent::Yes { remaining: lease.left.saturating_add(lease.shared as u32) }
    }

    /// The shared bucket has answered.
    pub fn grant(&self, now: Instant, grant: Grant, rate: Rate) {
        let mut lease = self.lease();
        lease.own = false;
        lease.left = u32::try_from(grant.granted).unwrap_or_default();
        lease.shared = grant.tokens.max(0.0);
        lease.until = now + HELD;
        let wait = Duration::try_from_secs_f64((1.0 - lease.shared) / rate.per_second).unwrap_or(HELD);
        lease.empty = (lease.left == 0).then(|| now + wait);
        lease.emptied = lease.empty.map(|_| now).or(lease.emptied);
    }

    /// The shared bucket cannot be asked: nobody is refused for that, unless `guarded`. Then this process counts alone,
    /// and grants what the shared bucket would in the same time: whoever slows the database down wins no tries.
    pub fn alone(&self, now: Instant, rate: Rate, guarded: bool) {
        let mut lease = self.lease();
        let spent = lease.alone.filter(|end| guarded && *end > now);
        let whole = Duration::try_from_secs_f64(f64::from(rate.capacity) / rate.per_second).unwrap_or(ALONE);
        let end = now + if guarded { whole } else { ALONE };
        lease.shared = 0.0;
        lease.own = true;
        match spent {
            Some(end) => (lease.left, lease.empty, lease.emptied) = (0, Some(end), Some(now)),
            None => (lease.left, lease.until, lease.alone, lease.empty) = (rate.capacity, end, Some(end), None),
        }
    }

    /// Takes one back that was not needed, if it belongs here: what is taken one by one is the shared bucket's.
    pub fn keep(&self, rate: Rate, leased: bool) -> bool {
        let mut lease = self.lease();
        let here = leased || lease.own;
        if here {
            lease.left = lease.left.saturating_add(1).min(rate.capacity);
            lease.empty = None;
        }
        here
    }

    /// The shared bucket has been given one back.
    pub fn refilled(&self) {
        self.lease().empty = None;
    }

    /// Whether it was found empty a moment ago.
    pub fn is_watched(&self, now: Instant) -> bool {
        self.lease().emptied.is_some_and(|emptied| now.duration_since(emptied) < HELD)
    }

    /// Whether it says no more than a new one would.
    pub fn is_stale(&self, now: Instant) -> bool {
        let lease = self.lease();
        lease.until <= now && lease.empty.is_none_or(|empty| empty <= now) && now - lease.used > HELD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { capacity: 60, per_second: 1.0 };

    #[test]
    fn what_was_taken_is_spent_here_and_no_more() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        assert_eq!(bucket.spend(now), Spent::Ask);
        bucket.grant(now, Grant { granted: 2, tokens: 3.5 }, RATE);
        assert_eq!(bucket.spend(now), Spent::Yes { remaining: 4 });
        assert_eq!(bucket.spend(now), Spent::Yes { remaining: 3 });
        assert_eq!(bucket.spend(now), Spent::Ask);
    }

    #[test]
    fn an_empty_bucket_is_not_asked_again_before_it_can_have_one() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 0, tokens: 0.25 }, RATE);
        assert_eq!(bucket.spend(now), Spent::No { wait: Duration::from_millis(750) });
        assert_eq!(bucket.spend(now + Duration::from_millis(750)), Spent::Ask);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let now = Instant::now();
        let (bucket, rate) = (Bucket::new(now), Rate { capacity: 2, per_second: 2.0 / 60.0 });
        bucket.grant(now, Grant { granted: 0, tokens: 0.5 }, rate);
        assert!(!bucket.keep(rate, false), "it is the shared bucket's");
        assert!(matches!(bucket.spend(now), Spent::No { .. }));
        bucket.refilled();
        assert_eq!(bucket.spend(now), Spent::Ask);
        // Nobody else knows of what was granted alone.
        bucket.alone(now, rate, true);
        for _ in 0..2 {
            assert!(matches!(bucket.spend(now), Spent::Yes { .. }));
        }
        bucket.alone(now, rate, true);
        assert!(matches!(bucket.spend(now), Spent::No { .. }));
        assert!(bucket.keep(rate, false));
        assert!(matches!(bucket.spend(now), Spent::Yes { .. }));
        assert_eq!(bucket.spend(now), Spent::Ask);
    }

    #[test]
    fn what_was_empty_is_watched_for_a_while() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 1, tokens: 0.0 }, RATE);
        assert!(!bucket.is_watched(now));
        bucket.grant(now, Grant { granted: 0, tokens: 0.0 }, RATE);
        bucket.grant(now + HELD / 2, Grant { granted: 1, tokens: 0.0 }, RATE);
        assert!(bucket.is_watched(now + HELD / 2));
        assert!(!bucket.is_watched(now + HELD));
    }

    #[test]
    fn what_was_taken_long_ago_is_given_up() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 2, tokens: 0.0 }, RATE);
        assert_eq!(bucket.spend(now + HELD), Spent::Ask);
        assert!(!bucket.is_stale(now + HELD));
        assert!(bucket.is_stale(now + HELD * 3));
    }

    #[test]
    fn nobody_is_refused_for_a_database_that_is_away() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        for round in 0..3 {
            let now = now + ALONE * round;
            bucket.alone(now, Rate { capacity: 1, per_second: 1.0 / 60.0 }, false);
            assert!(matches!(bucket.spend(now), Spent::Yes { .. }));
            assert_eq!(bucket.spend(now), Spent::Ask);
        }
    }

    #[test]
    fn what_guards_passwords_is_counted_without_the_database_too() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        let rate = Rate { capacity: 2, per_second: 2.0 / 60.0 };
        bucket.alone(now, rate, true);
        for _ in 0..2 {
            assert!(matches!(bucket.spend(now), Spent::Yes { .. }));
        }
        assert_eq!(bucket.spend(now), Spent::Ask);
        let later = now + ALONE * 2;
        bucket.alone(later, rate, true);
        assert_eq!(bucket.spend(later), Spent::No { wait: Duration::from_secs(58) });
        let minute = now + Duration::from_secs(60);
        assert_eq!(bucket.spend(minute), Spent::Ask);
        bucket.alone(minute, rate, true);
        assert!(matches!(bucket.spend(minute), Spent::Yes { .. }));
    }
}
