//! Interprets the server's response.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;

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
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors of a successful response in the order of the texts, each of length one. An invalid response with status 200 counts as
/// a fault of the server, not of the texts.
pub(super) fn vectors(body: &[u8], count: usize, dimensions: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let invalid = |reason: String| EmbedError::Unavailable(format!("the server's response is invalid: {reason}"));
    let response: EmbeddingsResponse = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    if response.data.len() != count {
        return Err(invalid(format!("{} vectors for {count} texts", response.data.len())));
    }
    let mut vectors = vec![Vec::new(); count];
    for (position, mut item) in response.data.into_iter().enumerate() {
        // Some servers omit the index; their vectors are in the order of the texts.
        let index = item.index.unwrap_or(position);
        if item.embedding.len() != dimensions {
            // The setting is wrong, so a retry cannot succeed.
            let length = item.embedding.len();
            return Err(EmbedError::Rejected(format!("its vectors have {length} dimensions, not {dimensions}")));
        }
        if !to_unit_length(&mut item.embedding) {
            return Err(invalid(format!("vector {index} has no direction")));
        }
        match vectors.get_mut(index) {
            Some(vector) if vector.is_empty() => *vector = item.embedding,
            _ => return Err(invalid(format!("index {index} is out of range or repeated"))),
        }
    }
    Ok(vectors)
}

/// The error for a status other than success.
pub(super) fn status_error(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> EmbedError {
    let message = message(body);
    let reason = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            EmbedError::Busy { retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER).min(MAX_RETRY_AFTER) }
        }
        StatusCode::REQUEST_TIMEOUT => EmbedError::Unavailable(reason),
        _ if status.is_server_error() => EmbedError::Unavailable(reason),
        _ => EmbedError::Rejected(reason),
    }
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
    let text = field.map_or_else(|| String::from_utf8_lossy(body), Into::into);
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

    use super::{DEFAULT_RETRY_AFTER, MAX_RETRY_AFTER, retry_after, status_error, vectors};
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
        assert_eq!(busy(None), EmbedError::Busy { retry_after: DEFAULT_RETRY_AFTER });
        assert_eq!(busy(Some(Duration::MAX)), EmbedError::Busy { retry_after: MAX_RETRY_AFTER });
    }

    #[test]
    fn error_quotes_a_shortened_server_message() {
        let body = br#"{"error":{"message":"Incorrect\n key"}}"#;
        let error = status_error(StatusCode::UNAUTHORIZED, None, body);
        assert_eq!(error, EmbedError::Rejected("401 Unauthorized: Incorrect key".into()));
        let EmbedError::Rejected(reason) = status_error(StatusCode::BAD_REQUEST, None, "ü".repeat(1000).as_bytes())
        else {
            panic!("400 is final")
        };
        assert!(reason.chars().count() < 350);
    }

    #[test]
    fn indices_must_be_a_permutation() {
        let twice = br#"{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[1]}]}"#;
        assert!(matches!(vectors(twice, 2, 1), Err(EmbedError::Unavailable(_))));
        let beyond = br#"{"data":[{"index":1,"embedding":[1]}]}"#;
        assert!(matches!(vectors(beyond, 1, 1), Err(EmbedError::Unavailable(_))));
        let unnumbered = br#"{"data":[{"embedding":[3,4]}]}"#;
        assert_eq!(vectors(unnumbered, 1, 2), Ok(vec![vec![0.6, 0.8]]));
    }
}
