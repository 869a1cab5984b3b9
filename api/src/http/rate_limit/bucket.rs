//! One token bucket as this process knows it: the tokens it has leased, and the shared bucket's state at the last refill.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nvisy_shared::store::rate_limit::{Grant, Rate};

/// Leased tokens expire after this; the shared bucket has refilled meanwhile.
const LEASE_DURATION: Duration = Duration::from_secs(10);
/// Without the shared bucket, a process counts by itself for this long before it tries again.
const LOCAL_FALLBACK_PERIOD: Duration = Duration::from_secs(1);

/// A process's part of a shared bucket.
#[derive(Debug)]
pub struct Bucket {
    lease: Mutex<Lease>,
    /// Of many requests that need a refill, one refills for all.
    pub refill: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    tokens: u32,
    /// Tokens that the shared bucket held at the last refill.
    shared_tokens: f64,
    expires_at: Instant,
    /// The shared bucket is empty until then.
    empty_until: Option<Instant>,
    last_exhausted: Option<Instant>,
    /// Until then this process has granted a whole bucket by itself.
    local_until: Option<Instant>,
    /// The tokens were granted by this process, not by the shared bucket.
    is_local: bool,
    last_used: Instant,
}

/// The lease's decision on one more request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spend {
    /// Allowed; `remaining` more are allowed after it.
    Allowed { remaining: u32 },
    /// Rejected until `wait` has passed.
    Exhausted { wait: Duration },
    /// Undecided: the lease needs a refill from the shared bucket.
    NeedsRefill,
}

impl Bucket {
    pub fn new(now: Instant) -> Self {
        let lease = Lease {
            tokens: 0,
            shared_tokens: 0.0,
            expires_at: now,
            empty_until: None,
            last_exhausted: None,
            local_until: None,
            is_local: false,
            last_used: now,
        };
        Self { lease: Mutex::new(lease), refill: tokio::sync::Mutex::new(()) }
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn spend(&self, now: Instant) -> Spend {
        let mut lease = self.lease();
        lease.last_used = now;
        let wait = lease.empty_until.and_then(|end| end.checked_duration_since(now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Spend::Exhausted { wait };
        }
        if lease.tokens == 0 || lease.expires_at <= now {
            return Spend::NeedsRefill;
        }
        lease.tokens -= 1;
        Spend::Allowed { remaining: lease.tokens.saturating_add(lease.shared_tokens as u32) }
    }

    /// Takes over the tokens that the shared bucket granted.
    pub fn grant(&self, now: Instant, grant: Grant, rate: Rate) {
        let mut lease = self.lease();
        lease.is_local = false;
        lease.tokens = u32::try_from(grant.granted).unwrap_or_default();
        lease.shared_tokens = grant.tokens.max(0.0);
        lease.expires_at = now + LEASE_DURATION;
        let wait = Duration::try_from_secs_f64((1.0 - lease.shared_tokens) / rate.per_second).unwrap_or(LEASE_DURATION);
        lease.empty_until = (lease.tokens == 0).then(|| now + wait);
        lease.last_exhausted = lease.empty_until.map(|_| now).or(lease.last_exhausted);
    }

    /// Grants tokens without the shared bucket, which does not answer. A limit that fails open allows a whole bucket each
    /// time. One that `fails_closed` grants what the shared bucket would in the same time, so that slowing the database
    /// down buys no further attempts.
    pub fn local_fallback(&self, now: Instant, rate: Rate, fails_closed: bool) {
        let mut lease = self.lease();
        let spent_until = lease.local_until.filter(|end| fails_closed && *end > now);
        let whole =
            Duration::try_from_secs_f64(f64::from(rate.capacity) / rate.per_second).unwrap_or(LOCAL_FALLBACK_PERIOD);
        let end = now + if fails_closed { whole } else { LOCAL_FALLBACK_PERIOD };
        lease.shared_tokens = 0.0;
        lease.is_local = true;
        match spent_until {
            Some(end) => (lease.tokens, lease.empty_until, lease.last_exhausted) = (0, Some(end), Some(now)),
            None => {
                lease.tokens = rate.capacity;
                lease.expires_at = end;
                lease.local_until = Some(end);
                lease.empty_until = None;
            }
        }
    }

    /// Puts one token back, if it came from this lease; `false`: it belongs to the shared bucket, from which tokens were
    /// taken one by one.
    pub fn refund(&self, rate: Rate, is_leased: bool) -> bool {
        let mut lease = self.lease();
        let here = is_leased || lease.is_local;
        if here {
            lease.tokens = lease.tokens.saturating_add(1).min(rate.capacity);
            lease.empty_until = None;
        }
        here
    }

    /// Records that the shared bucket holds a token again.
    pub fn refunded_to_shared(&self) {
        self.lease().empty_until = None;
    }

    /// Whether the shared bucket was empty within the last [`LEASE_DURATION`].
    pub fn recently_exhausted(&self, now: Instant) -> bool {
        self.lease().last_exhausted.is_some_and(|exhausted| now.duration_since(exhausted) < LEASE_DURATION)
    }

    /// Whether the bucket holds no more information than a new one.
    pub fn is_stale(&self, now: Instant) -> bool {
        let lease = self.lease();
        lease.expires_at <= now
            && lease.empty_until.is_none_or(|end| end <= now)
            && now - lease.last_used > LEASE_DURATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { capacity: 60, per_second: 1.0 };

    #[test]
    fn leased_tokens_are_spent_locally_and_then_need_a_refill() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        assert_eq!(bucket.spend(now), Spend::NeedsRefill);
        bucket.grant(now, Grant { granted: 2, tokens: 3.5 }, RATE);
        assert_eq!(bucket.spend(now), Spend::Allowed { remaining: 4 });
        assert_eq!(bucket.spend(now), Spend::Allowed { remaining: 3 });
        assert_eq!(bucket.spend(now), Spend::NeedsRefill);
    }

    #[test]
    fn empty_shared_bucket_is_not_queried_before_it_can_hold_a_token() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 0, tokens: 0.25 }, RATE);
        assert_eq!(bucket.spend(now), Spend::Exhausted { wait: Duration::from_millis(750) });
        assert_eq!(bucket.spend(now + Duration::from_millis(750)), Spend::NeedsRefill);
    }

    #[test]
    fn refunded_token_can_be_spent_again() {
        let now = Instant::now();
        let (bucket, rate) = (Bucket::new(now), Rate { capacity: 2, per_second: 2.0 / 60.0 });
        bucket.grant(now, Grant { granted: 0, tokens: 0.5 }, rate);
        assert!(!bucket.refund(rate, false), "the token belongs to the shared bucket");
        assert!(matches!(bucket.spend(now), Spend::Exhausted { .. }));
        bucket.refunded_to_shared();
        assert_eq!(bucket.spend(now), Spend::NeedsRefill);
        // The shared bucket does not know of locally granted tokens.
        bucket.local_fallback(now, rate, true);
        for _ in 0..2 {
            assert!(matches!(bucket.spend(now), Spend::Allowed { .. }));
        }
        bucket.local_fallback(now, rate, true);
        assert!(matches!(bucket.spend(now), Spend::Exhausted { .. }));
        assert!(bucket.refund(rate, false));
        assert!(matches!(bucket.spend(now), Spend::Allowed { .. }));
        assert_eq!(bucket.spend(now), Spend::NeedsRefill);
    }

    #[test]
    fn exhausted_bucket_counts_as_recently_exhausted_for_a_lease() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 1, tokens: 0.0 }, RATE);
        assert!(!bucket.recently_exhausted(now));
        bucket.grant(now, Grant { granted: 0, tokens: 0.0 }, RATE);
        bucket.grant(now + LEASE_DURATION / 2, Grant { granted: 1, tokens: 0.0 }, RATE);
        assert!(bucket.recently_exhausted(now + LEASE_DURATION / 2));
        assert!(!bucket.recently_exhausted(now + LEASE_DURATION));
    }

    #[test]
    fn leased_tokens_expire() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        bucket.grant(now, Grant { granted: 2, tokens: 0.0 }, RATE);
        assert_eq!(bucket.spend(now + LEASE_DURATION), Spend::NeedsRefill);
        assert!(!bucket.is_stale(now + LEASE_DURATION));
        assert!(bucket.is_stale(now + LEASE_DURATION * 3));
    }

    #[test]
    fn fail_open_limit_allows_requests_without_the_database() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        for round in 0..3 {
            let now = now + LOCAL_FALLBACK_PERIOD * round;
            bucket.local_fallback(now, Rate { capacity: 1, per_second: 1.0 / 60.0 }, false);
            assert!(matches!(bucket.spend(now), Spend::Allowed { .. }));
            assert_eq!(bucket.spend(now), Spend::NeedsRefill);
        }
    }

    #[test]
    fn fail_closed_limit_is_counted_locally_without_the_database() {
        let now = Instant::now();
        let bucket = Bucket::new(now);
        let rate = Rate { capacity: 2, per_second: 2.0 / 60.0 };
        bucket.local_fallback(now, rate, true);
        for _ in 0..2 {
            assert!(matches!(bucket.spend(now), Spend::Allowed { .. }));
        }
        assert_eq!(bucket.spend(now), Spend::NeedsRefill);
        let later = now + LOCAL_FALLBACK_PERIOD * 2;
        bucket.local_fallback(later, rate, true);
        assert_eq!(bucket.spend(later), Spend::Exhausted { wait: Duration::from_secs(58) });
        let minute = now + Duration::from_secs(60);
        assert_eq!(bucket.spend(minute), Spend::NeedsRefill);
        bucket.local_fallback(minute, rate, true);
        assert!(matches!(bucket.spend(minute), Spend::Allowed { .. }));
    }
}
