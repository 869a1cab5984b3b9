//! The name of a request: a new one, or that of a proxy of ours, if it is a sensible one. Not the caller's own: it stands in
//! the activity log, and nobody may write somebody else's request there.

use std::fmt;

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use nvisy_shared::id;

use super::client_info;

const MAX: usize = 128;

/// Stands in the response, in problems, and in every log line of the request.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    pub const fn header() -> HeaderName {
        HeaderName::from_static("x-request-id")
    }

    /// What the request is to be called.
    pub fn of(request: &HttpRequest) -> Self {
        match request.headers().get(Self::header()) {
            Some(value) if is_sensible(value.as_bytes()) && client_info::is_proxied(request) => Self(value.clone()),
            _ => Self(HeaderValue::try_from(id::new().to_string()).expect("a UUID is a header value")),
        }
    }

    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// It ends up in logs, so nothing but plain words.
fn is_sensible(value: &[u8]) -> bool {
    (1..=MAX).contains(&value.len()) && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::is_sensible;

    #[test]
    fn plain_words_are_kept_and_nothing_else() {
        assert!(is_sensible(b"0193-abc_DEF.1:2"));
        assert!(!is_sensible(b""));
        assert!(!is_sensible(b"a b"));
        assert!(!is_sensible(b"a\"b"));
        assert!(!is_sensible(&[b'a'; 129]));
    }
}
