//! What a response without an answer means for the work that needs it.

use std::time::Duration;

use chrono::DateTime;
use nvisy_shared::{outbound::OutboundFailure, secret::Secret};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, HeaderName, RETRY_AFTER},
};
use serde_json::Value;

/// Characters of a provider's message that are kept.
const MAX_MESSAGE_CHARS: usize = 300;
/// Longest wait that a provider may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Why there is no answer. Each text is the provider's message, or one of ours; none contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelFailure {
    /// The provider has too much to do (429): waiting helps.
    #[error("the provider is busy: {reason}")]
    Busy {
        /// The wait that the provider asks for.
        retry_after: Option<Duration>,
        /// The provider's message.
        reason: String,
    },
    /// No connection, a timeout, 5xx: another attempt may succeed.
    #[error("the provider is not available: {0}")]
    Unavailable(String),
    /// The response is not one of the protocol: a page, half an answer, nothing. Another attempt may succeed.
    #[error("the provider's response is not valid: {0}")]
    Invalid(String),
    /// Key, account, address or model are not accepted (401 to 404, redirects): a change of the connection, or of the account at
    /// the provider, helps.
    #[error("the provider does not accept the connection: {0}")]
    Blocked(String),
    /// The question has too many tokens: a shorter one helps.
    #[error("the question is too long for the model: {0}")]
    TooLong(String),
    /// The provider does not accept this question, whenever it is asked.
    #[error("the provider rejected the question: {0}")]
    Rejected(String),
    /// The model, or a filter of the provider, does not answer this question.
    #[error("the model does not answer: {0}")]
    Refused(String),
}

impl ModelFailure {
    /// The label of the metric.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
            Self::Blocked(_) => "blocked",
            Self::TooLong(_) => "too_long",
            Self::Rejected(_) => "rejected",
            Self::Refused(_) => "refused",
        }
    }

    /// The failure without the key, which some servers quote, and shortened.
    pub(super) fn redacted(self, key: Option<&Secret<String>>) -> Self {
        let redact = |text: String| {
            let text = match key {
                Some(key) if !key.expose().is_empty() => text.replace(key.expose().as_str(), "[hidden]"),
                _ => text,
            };
            shorten(&text)
        };
        match self {
            Self::Busy { retry_after, reason } => Self::Busy { retry_after, reason: redact(reason) },
            Self::Unavailable(text) => Self::Unavailable(redact(text)),
            Self::Invalid(text) => Self::Invalid(redact(text)),
            Self::Blocked(text) => Self::Blocked(redact(text)),
            Self::TooLong(text) => Self::TooLong(redact(text)),
            Self::Rejected(text) => Self::Rejected(redact(text)),
            Self::Refused(text) => Self::Refused(redact(text)),
        }
    }
}

impl From<OutboundFailure> for ModelFailure {
    fn from(failure: OutboundFailure) -> Self {
        match failure {
            OutboundFailure::Blocked(_) | OutboundFailure::Certificate(_) | OutboundFailure::Request(_) => {
                Self::Blocked(failure.to_string())
            }
            OutboundFailure::Connect(_) | OutboundFailure::Proxy(_) | OutboundFailure::Timeout => {
                Self::Unavailable(failure.to_string())
            }
            OutboundFailure::TooLarge(_) | OutboundFailure::Broken(_) => Self::Invalid(failure.to_string()),
        }
    }
}

/// The failure of a status other than success.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ModelFailure {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = message(&json);
    let reason = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    let retry_after = retry_after(headers);
    let busy = |reason| ModelFailure::Busy { retry_after, reason };
    match status.as_u16() {
        // The account is empty, which no waiting changes.
        429 if is_about_quota(&json, &message) => ModelFailure::Blocked(reason),
        429 | 529 => busy(reason),
        503 if retry_after.is_some() => busy(reason),
        300..=399 => ModelFailure::Blocked(format!("{status}: redirects are not followed; correct the address")),
        401..=404 => ModelFailure::Blocked(reason),
        400 if is_about_key(&message) => ModelFailure::Blocked(reason),
        400 | 413 | 422 if is_about_length(&json, &message) => ModelFailure::TooLong(reason),
        408 | 409 | 425 | 500.. => ModelFailure::Unavailable(reason),
        _ => ModelFailure::Rejected(reason),
    }
}

/// The provider's message: the field of the known protocols; other bodies, such as pages of proxies, are not shown.
pub(crate) fn message(json: &Value) -> String {
    let paths =
        ["/error/message", "/error", "/message", "/detail", "/0/error/message", "/status/error", "/error/0/message"];
    let text = paths.iter().find_map(|path| json.pointer(path)?.as_str()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn mentions(json: &Value, message: &str, words: &[&str]) -> bool {
    let codes = ["/error/code", "/error/type", "/error/status", "/code", "/type"];
    let codes = codes.iter().filter_map(|path| json.pointer(path)?.as_str());
    let message = message.to_ascii_lowercase();
    codes.map(str::to_ascii_lowercase).chain([message]).any(|text| words.iter().any(|word| text.contains(word)))
}

fn is_about_quota(json: &Value, message: &str) -> bool {
    mentions(json, message, &["insufficient_quota", "billing", "credit balance", "exceeded your current quota"])
}

fn is_about_key(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["api key not valid", "invalid api key", "credit balance"].iter().any(|words| message.contains(words))
}

fn is_about_length(json: &Value, message: &str) -> bool {
    let words = [
        "context_length",
        "context length",
        "context window",
        "too long",
        "too many tokens",
        "maximum number of tokens",
        "max_tokens_exceeded",
        "exceeds the maximum",
        "input token count",
    ];
    mentions(json, message, &words)
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own `Date`, so that its clock and ours may differ.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let then = DateTime::parse_from_rfc2822(value).ok()?;
            let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
            (then - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: Value) -> ModelFailure {
        of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.to_string().as_bytes())
    }

    #[test]
    fn status_and_message_decide_what_helps() {
        let error = |text: &str| json!({ "error": { "message": text } });
        let quota = json!({ "error": { "message": "You exceeded your current quota", "code": "insufficient_quota" } });
        assert!(matches!(of(429, quota), ModelFailure::Blocked(reason) if reason.contains("exceeded your current")));
        assert!(matches!(of(429, error("slow down")), ModelFailure::Busy { retry_after: None, .. }));
        for status in [301, 401, 402, 403, 404] {
            assert!(matches!(of(status, error("no")), ModelFailure::Blocked(_)), "{status}");
        }
        assert!(matches!(of(400, error("API key not valid")), ModelFailure::Blocked(_)));
        assert!(matches!(of(400, error("maximum context length is 8192")), ModelFailure::TooLong(_)));
        assert!(matches!(of(400, error("unknown field")), ModelFailure::Rejected(_)));
        for status in [408, 500, 502, 503] {
            assert!(matches!(of(status, error("no")), ModelFailure::Unavailable(_)), "{status}");
        }
    }

    #[test]
    fn messages_have_no_key_and_no_page() {
        let key = Secret::new("hunter2".to_owned());
        let failure = of(401, json!({ "error": { "message": "wrong key hunter2" } })).redacted(Some(&key));
        assert_eq!(failure, ModelFailure::Blocked("401 Unauthorized: wrong key [hidden]".to_owned()));
        let page = of_status(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>secret</html>");
        assert_eq!(page, ModelFailure::Unavailable("502 Bad Gateway".to_owned()));
    }
}
