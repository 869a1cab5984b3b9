//! The id of a request: a new one, or the one that a trusted proxy sent. A client cannot choose it, because the activity log
//! records it.

use std::fmt;

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use nvisy_shared::id;

use super::{component::component, trusted_proxies::TrustedProxies};

const MAX_ID_CHARS: usize = 128;

/// The response, problems and every log line of the request carry it.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    pub const fn header() -> HeaderName {
        HeaderName::from_static("x-request-id")
    }

    /// The proxy's id, or a new one.
    pub fn of(request: &HttpRequest) -> Self {
        match request.headers().get(Self::header()) {
            Some(value) if is_plain_word(value.as_bytes()) && component::<TrustedProxies>(request).sent(request) => {
                Self(value.clone())
            }
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

/// Logs show the id, so it may hold plain characters only.
fn is_plain_word(value: &[u8]) -> bool {
    (1..=MAX_ID_CHARS).contains(&value.len())
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::is_plain_word;

    #[test]
    fn only_plain_characters_are_accepted() {
        assert!(is_plain_word(b"0193-abc_DEF.1:2"));
        assert!(!is_plain_word(b""));
        assert!(!is_plain_word(b"a b"));
        assert!(!is_plain_word(b"a\"b"));
        assert!(!is_plain_word(&[b'a'; 129]));
    }
}
