//! The status of a rate limit: the headers `RateLimit-*`.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A limit, the remaining requests, and the seconds until the limit is fully available again.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitStatus {
    limit: u32,
    remaining: u32,
    reset_seconds: u32,
}

impl RateLimitStatus {
    /// The status of a bucket of `limit` tokens that refills at `per_second`.
    pub fn new(limit: u32, per_second: f64, remaining: u32) -> Self {
        let remaining = remaining.min(limit);
        let missing = f64::from(limit - remaining);
        Self { limit, remaining, reset_seconds: (missing / per_second).ceil() as u32 }
    }

    /// The share of the limit that remains, 0 to 1.
    pub fn remaining_share(self) -> f64 {
        f64::from(self.remaining) / f64::from(self.limit)
    }

    /// Writes the headers.
    pub fn write_headers(self, headers: &mut HeaderMap) {
        for (name, value) in [(LIMIT, self.limit), (REMAINING, self.remaining), (RESET, self.reset_seconds)] {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_limit_remaining_and_seconds_until_reset() {
        let mut headers = HeaderMap::new();
        RateLimitStatus::new(60, 1.0, 45).write_headers(&mut headers);
        let value = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            (value("ratelimit-limit"), value("ratelimit-remaining"), value("ratelimit-reset")),
            ("60".into(), "45".into(), "15".into())
        );
    }
}
