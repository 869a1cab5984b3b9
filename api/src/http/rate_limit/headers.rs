//! What answers say about limits: the headers `RateLimit-*`.

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{HeaderMap, HeaderName, HeaderValue},
};
use nvisy_shared::store::limit::Rate;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// How far a caller is from a limit.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Seconds until all may be made again.
    reset: u32,
}

impl Standing {
    pub fn new(rate: Rate, remaining: u32) -> Self {
        let remaining = remaining.min(rate.capacity);
        let missing = f64::from(rate.capacity - remaining);
        Self { limit: rate.capacity, remaining, reset: (missing / rate.per_second).ceil() as u32 }
    }

    /// The share that is left.
    fn share(self) -> f64 {
        f64::from(self.remaining) / f64::from(self.limit)
    }

    /// Keeps it for the answer; of several limits, the one that is reached first.
    pub fn note(self, request: &HttpRequest) {
        let mut extensions = request.extensions_mut();
        if extensions.get::<Self>().is_none_or(|other| self.share() < other.share()) {
            extensions.insert(self);
        }
    }

    /// Says it.
    pub fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in [(LIMIT, self.limit), (REMAINING, self.remaining), (RESET, self.reset)] {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_is_left_and_when_all_is() {
        let mut headers = HeaderMap::new();
        Standing::new(Rate { capacity: 60, per_second: 1.0 }, 45).tell(&mut headers);
        let told = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            (told("ratelimit-limit"), told("ratelimit-remaining"), told("ratelimit-reset")),
            ("60".into(), "45".into(), "15".into())
        );
    }
}
