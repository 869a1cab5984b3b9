//! Interprets the server's response.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use crate::{EmbedError, to_unit_length};

/// The wait when a busy server names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest wait, whatever the server names.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Characters of the server's message that are kept.
const MESSAGE_LIMIT_CHARS: usize = 300;

#[derive(Deserialize)]
struct EmbeddingsResponse {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// A number, a text or nothing: see [`places`].
    #[serde(default)]
    index: Value,
    embedding: Numbers,
}

/// A vector, in one of the forms that servers use.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Decimal(Vec<f32>),
    /// Base64 of little-endian single-precision numbers.
    Base64(String),
    /// A list of one vector.
    Nested([Vec<f32>; 1]),
}

impl Numbers {
    fn vector(self) -> Option<Vec<f32>> {
        match self {
            Self::Decimal(vector) | Self::Nested([vector]) => Some(vector),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text.trim()).ok()?;
                let (numbers, rest) = bytes.as_chunks::<4>();
                rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
        }
    }
}

/// The vectors of a successful response in the order of the texts, each of length one. An invalid response with status 200 counts as
/// a fault of the server, not of the texts.
pub(super) fn vectors(body: &[u8], count: usize, dimensions: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let invalid = |reason: String| EmbedError::Unavailable(format!("the server's response is invalid: {reason}"));
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let response: EmbeddingsResponse = serde_json::from_slice(body).map_err(|error| {
        // Some servers report an error with status 200.
        let message = message(body);
        let is_error = serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get("error").is_some());
        invalid(if is_error { message } else { error.to_string() })
    })?;
    if response.data.len() != count {
        return Err(invalid(format!("{} vectors for {count} texts", response.data.len())));
    }
    let indices: Vec<Option<u64>> = response.data.iter().map(|item| index(&item.index)).collect();
    let places = places(&indices).ok_or_else(|| invalid("an index is repeated or out of range".into()))?;
    let mut vectors = vec![Vec::new(); count];
    for (item, place) in response.data.into_iter().zip(places) {
        let mut vector = item.embedding.vector().ok_or_else(|| invalid("a vector is not valid Base64".into()))?;
        if vector.len() != dimensions {
            // The setting is wrong, so a retry cannot succeed.
            let length = vector.len();
            return Err(EmbedError::Blocked(format!("its vectors have {length} dimensions, not {dimensions}")));
        }
        if !to_unit_length(&mut vector) {
            return Err(invalid(format!("vector {place} has no direction")));
        }
        vectors[place] = vector;
    }
    Ok(vectors)
}

/// An index as a number, also where it is a text or has decimals.
fn index(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        value => value.as_f64()?,
    };
    // Beyond all batches.
    ((0.0..1e9).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// The place of each vector among the texts. Indices that say nothing, because some are missing or all are equal, leave the order of
/// the response; others must be consecutive, from any first one. `None`: they contradict each other.
fn places(indices: &[Option<u64>]) -> Option<Vec<usize>> {
    let in_order = || (0..indices.len()).collect();
    let Some(known) = indices.iter().copied().collect::<Option<Vec<u64>>>() else { return Some(in_order()) };
    let (Some(&min), Some(&max)) = (known.iter().min(), known.iter().max()) else { return Some(Vec::new()) };
    if min == max {
        return Some(in_order());
    }
    let mut sorted = known.clone();
    sorted.sort_unstable();
    let is_permutation = sorted.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    is_permutation.then(|| known.iter().map(|index| usize::try_from(index - min).unwrap_or_default()).collect())
}

/// A status, or a fault of a tunnel, that only a proxy has.
pub(super) const PROXY_UNAUTHORIZED: &str = "the operator's proxy does not accept its credentials (407)";

/// The error for a status other than success.
pub(super) fn status_error(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> EmbedError {
    let message = message(body);
    let reason = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    let busy = |reason| {
        let retry_after = retry_after.unwrap_or(DEFAULT_RETRY_AFTER).min(MAX_RETRY_AFTER);
        EmbedError::Busy { retry_after, reason }
    };
    match status.as_u16() {
        // The account is empty, which no waiting changes.
        429 if is_about_quota(body) => EmbedError::Blocked(reason),
        429 | 503 => busy(reason),
        300..=399 => EmbedError::Blocked(format!("{status}: redirects are not followed; correct the address")),
        // The page of a proxy is for its operator.
        407 => EmbedError::Blocked(PROXY_UNAUTHORIZED.into()),
        401..=405 | 410 => EmbedError::Blocked(reason),
        408 | 425 | 500.. => EmbedError::Unavailable(reason),
        _ => EmbedError::Rejected(reason),
    }
}

/// Whether a rejection for too many requests is about money: no later request is accepted either.
fn is_about_quota(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["insufficient_quota", "exceeded your current quota", "billing", "credit balance"]
        .iter()
        .any(|words| text.contains(words))
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own `Date`, so that its clock and ours may differ.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = DateTime::parse_from_rfc2822(value).ok()?;
    let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
    Some((then - now).to_std().unwrap_or_default())
}

/// The server's message, shortened: the `message` of an OpenAI error, or the body as it is.
fn message(body: &[u8]) -> String {
    let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let field =
        ["/error/message", "/error", "/message", "/detail"].iter().find_map(|path| parsed.pointer(path)?.as_str());
    // FastAPI's list of what is wrong with the fields.
    let first = parsed.pointer("/detail/0/msg").and_then(serde_json::Value::as_str);
    let text = field.or(first).map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MESSAGE_LIMIT_CHARS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

    use super::{DEFAULT_RETRY_AFTER, MAX_RETRY_AFTER, PROXY_UNAUTHORIZED, retry_after, status_error, vectors};
    use crate::EmbedError;

    fn headers(values: &[(HeaderName, &'static str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_of_the_server_clock() {
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "7")])), Some(Duration::from_secs(7)));
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(retry_after(&headers(&[date.clone(), later.clone()])), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, date.1), (DATE, later.1)])), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[later])), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "-1")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn retry_after_is_bounded() {
        let busy = |retry_after| status_error(StatusCode::TOO_MANY_REQUESTS, retry_after, b"");
        let wait = |error| match error {
            EmbedError::Busy { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(busy(None)), DEFAULT_RETRY_AFTER);
        assert_eq!(wait(busy(Some(Duration::MAX))), MAX_RETRY_AFTER);
    }

    #[test]
    fn error_quotes_a_shortened_server_message() {
        let body = br#"{"error":{"message":"Incorrect\n key"}}"#;
        let error = status_error(StatusCode::UNAUTHORIZED, None, body);
        assert_eq!(error, EmbedError::Blocked("401 Unauthorized: Incorrect key".into()));
        let EmbedError::Rejected(reason) = status_error(StatusCode::BAD_REQUEST, None, "ü".repeat(1000).as_bytes())
        else {
            panic!("400 is final")
        };
        assert!(reason.chars().count() < 350);
    }

    fn of(body: &str, count: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        vectors(body.as_bytes(), count, 2)
    }

    #[test]
    fn indices_decide_the_order_where_they_say_something() {
        let body = |one: &str, two: &str| {
            format!(r#"{{"data":[{{"index":{one},"embedding":[1,0]}},{{"index":{two},"embedding":[0,1]}}]}}"#)
        };
        let (first, second) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let in_order = Ok(vec![first.clone(), second.clone()]);
        let swapped = Ok(vec![second, first]);
        for (one, two) in
            [("0", "1"), ("0", "0"), ("\"0\"", "\"1\""), ("0.0", "1.0"), ("null", "null"), ("1", "2"), ("\"x\"", "0")]
        {
            assert_eq!(of(&body(one, two), 2), in_order, "{one} {two}");
        }
        for (one, two) in [("1", "0"), ("\"1\"", "\"0\""), ("1.0", "0.0"), ("8", "7")] {
            assert_eq!(of(&body(one, two), 2), swapped, "{one} {two}");
        }
        assert!(matches!(of(&body("0", "7"), 2), Err(EmbedError::Unavailable(_))));
        assert_eq!(of(r#"{"data":[{"embedding":[3,4]}]}"#, 1), Ok(vec![vec![0.6, 0.8]]));
    }

    #[test]
    fn vectors_are_read_in_every_encoding() {
        // 3.0 and 4.0.
        let base64 = r#"{"data":[{"index":0,"embedding":"AABAQAAAgEA="}]}"#;
        assert_eq!(of(base64, 1), Ok(vec![vec![0.6, 0.8]]));
        assert_eq!(of(r#"{"data":[{"index":0,"embedding":[[3,4]]}]}"#, 1), Ok(vec![vec![0.6, 0.8]]));
        assert_eq!(of(&format!("\u{feff}{base64}"), 1), Ok(vec![vec![0.6, 0.8]]));
        assert!(matches!(of(r#"{"data":[{"index":0,"embedding":"AAB"}]}"#, 1), Err(EmbedError::Unavailable(_))));
        let error = of(r#"{"error":{"message":"no model loaded"}}"#, 1).unwrap_err();
        assert!(error.to_string().contains("no model loaded"), "{error}");
    }

    #[test]
    fn exhausted_account_is_no_busy_server() {
        let body = br#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
        let error = status_error(StatusCode::TOO_MANY_REQUESTS, None, body);
        assert_eq!(error, EmbedError::Blocked("429 Too Many Requests: You exceeded your current quota".into()));
        for status in [301, 401, 402, 403, 404] {
            assert!(
                matches!(status_error(StatusCode::from_u16(status).unwrap(), None, b""), EmbedError::Blocked(_)),
                "{status}"
            );
        }
        assert!(matches!(status_error(StatusCode::BAD_REQUEST, None, b""), EmbedError::Rejected(_)));
        let error = status_error(StatusCode::PROXY_AUTHENTICATION_REQUIRED, None, b"<p>ada at cache.internal</p>");
        assert_eq!(error, EmbedError::Blocked(PROXY_UNAUTHORIZED.into()), "without the page of the proxy");
    }
}
