//! What the server's answer means.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;

use crate::{EmbedError, to_unit_length};

/// How long to wait when a server wants patience without saying how much.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);
/// No server is waited for longer, whatever it says.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3600);
/// Characters of the server's message that are kept.
const LONGEST_MESSAGE: usize = 300;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors of a good answer in the order of the texts, each of length one. A server that answers 200 with something else is
/// taken to be in trouble, not the texts.
pub(super) fn vectors(body: &[u8], count: usize, dimensions: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let wrong = |reason: String| EmbedError::Unavailable(format!("the server's answer makes no sense: {reason}"));
    let answer: Answer = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    if answer.data.len() != count {
        return Err(wrong(format!("{} vectors for {count} texts", answer.data.len())));
    }
    let mut vectors = vec![Vec::new(); count];
    for (place, mut item) in answer.data.into_iter().enumerate() {
        // Some servers leave the index out; then the order of the texts is meant.
        let index = item.index.unwrap_or(place);
        if item.embedding.len() != dimensions {
            // No retry mends a wrong setting.
            let length = item.embedding.len();
            return Err(EmbedError::Rejected(format!("its vectors have {length} dimensions, not {dimensions}")));
        }
        if !to_unit_length(&mut item.embedding) {
            return Err(wrong(format!("vector {index} has no direction")));
        }
        match vectors.get_mut(index) {
            Some(vector) if vector.is_empty() => *vector = item.embedding,
            _ => return Err(wrong(format!("index {index} is out of range or there twice"))),
        }
    }
    Ok(vectors)
}

/// The error that a status other than success stands for.
pub(super) fn refusal(status: StatusCode, patience: Option<Duration>, body: &[u8]) -> EmbedError {
    let message = message(body);
    let said = if message.is_empty() { status.to_string() } else { format!("{status}: {message}") };
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            EmbedError::Busy { retry_after: patience.unwrap_or(DEFAULT_PATIENCE).min(LONGEST_PATIENCE) }
        }
        StatusCode::REQUEST_TIMEOUT => EmbedError::Unavailable(said),
        _ if status.is_server_error() => EmbedError::Unavailable(said),
        _ => EmbedError::Rejected(said),
    }
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own `Date` so that its clock and ours may differ.
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

/// What the server says, shortened: the `message` of an OpenAI error, or the text as it came.
fn message(body: &[u8]) -> String {
    let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let known =
        ["/error/message", "/error", "/message", "/detail"].iter().find_map(|path| parsed.pointer(path)?.as_str());
    let said = known.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

    use super::{DEFAULT_PATIENCE, LONGEST_PATIENCE, refusal, retry_after, vectors};
    use crate::EmbedError;

    fn headers(values: &[(HeaderName, &'static str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn patience_is_read_as_seconds_or_as_a_date_by_the_servers_clock() {
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
    fn patience_is_bounded() {
        let busy = |patience| refusal(StatusCode::TOO_MANY_REQUESTS, patience, b"");
        assert_eq!(busy(None), EmbedError::Busy { retry_after: DEFAULT_PATIENCE });
        assert_eq!(busy(Some(Duration::MAX)), EmbedError::Busy { retry_after: LONGEST_PATIENCE });
    }

    #[test]
    fn a_refusal_quotes_the_server_shortly() {
        let body = br#"{"error":{"message":"Incorrect\n key"}}"#;
        let error = refusal(StatusCode::UNAUTHORIZED, None, body);
        assert_eq!(error, EmbedError::Rejected("401 Unauthorized: Incorrect key".into()));
        let EmbedError::Rejected(said) = refusal(StatusCode::BAD_REQUEST, None, "ü".repeat(1000).as_bytes()) else {
            panic!("400 is final")
        };
        assert!(said.chars().count() < 350);
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
