//! The headers that tell browsers to treat responses as private data, not as pages.

use actix_web::http::header::{
    self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use nvisy_shared::config::HttpConfig;

/// A response that needs others, such as the reference page, sets them itself.
static FIXED: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// The headers of every response.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    strict_transport: Option<HeaderValue>,
}

impl SecurityHeaders {
    pub fn new(http: &HttpConfig) -> Self {
        let seconds = http.hsts();
        let strict_transport = (seconds > 0).then(|| {
            HeaderValue::try_from(format!("max-age={seconds}; includeSubDomains")).expect("a number is a header value")
        });
        Self { strict_transport }
    }

    /// Adds the headers that the response does not have yet.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let strict_transport = self.strict_transport.iter().map(|value| (&STRICT_TRANSPORT_SECURITY, value));
        for (name, value) in FIXED.iter().map(|(name, value)| (name, value)).chain(strict_transport) {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if !headers.contains_key(CACHE_CONTROL) {
            // A client may keep a response with a tag, and revalidates it each time.
            let cache = if headers.contains_key(ETAG) { "private, no-cache" } else { "no-store" };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        }
    }
}
