//! What every answer tells browsers: this is data, not a page, and nobody's business but the caller's.

use actix_web::http::header::{
    self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use nvisy_shared::config::HttpConfig;

/// An answer that needs more, such as the reference page, says so itself.
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

/// The headers of every answer.
#[derive(Clone, Debug)]
pub struct Shield {
    transport: Option<HeaderValue>,
}

impl Shield {
    pub fn new(http: &HttpConfig) -> Self {
        let seconds = http.hsts();
        let transport = (seconds > 0).then(|| {
            HeaderValue::try_from(format!("max-age={seconds}; includeSubDomains")).expect("a number is a header value")
        });
        Self { transport }
    }

    /// Adds what the answer does not say itself.
    pub fn cover(&self, headers: &mut HeaderMap) {
        let transport = self.transport.iter().map(|value| (&STRICT_TRANSPORT_SECURITY, value));
        for (name, value) in FIXED.iter().map(|(name, value)| (name, value)).chain(transport) {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if !headers.contains_key(CACHE_CONTROL) {
            // What has a tag may be kept by the caller, who asks each time whether it is still good.
            let cache = if headers.contains_key(ETAG) { "private, no-cache" } else { "no-store" };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        }
    }
}
