//! JSON bodies: read within bounds, then decoded with the place of every mistake.

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Decompress, Payload},
    error::PayloadError,
    http::header::CONTENT_LENGTH,
    web::BytesMut,
};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{
    http::stall_guard::{is_too_slow, too_slow},
    problem::{Code, FieldError, Problem},
};

/// Deepest nesting. What is decoded takes stack for each level.
const DEPTH: usize = 64;
/// Most values. Each takes many times its two bytes once it is decoded.
const VALUES: usize = 100_000;

/// A body that has not been read.
pub struct Body {
    payload: Decompress<Payload>,
    is_json: bool,
    declared: usize,
    limit: usize,
}

impl Body {
    /// The body of a request; nothing is read yet.
    pub fn of(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Self {
        let mime = request.mime_type().ok().flatten();
        let is_json = mime.is_some_and(|mime| mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON));
        let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let payload = Decompress::from_headers(payload.take(), request.headers());
        Self { payload, is_json, declared: declared.unwrap_or_default(), limit }
    }

    /// Reads it to its end and decodes it.
    pub async fn decode<T: DeserializeOwned>(mut self) -> Result<T, Problem> {
        if !self.is_json {
            return Err(
                Problem::new(Code::UnsupportedMediaType).detail("the content type of the body is application/json")
            );
        }
        let too_large =
            || Problem::new(Code::PayloadTooLarge).detail(format!("a JSON body has at most {} bytes here", self.limit));
        if self.declared > self.limit {
            return Err(too_large());
        }
        let mut json = BytesMut::with_capacity(self.declared);
        while let Some(piece) = self.payload.next().await {
            let piece = piece.map_err(|error| unreadable(&error))?;
            if json.len() + piece.len() > self.limit {
                return Err(too_large());
            }
            json.extend_from_slice(&piece);
        }
        bounded(&json).map_err(|message| Problem::invalid(vec![FieldError::new("", message)]))?;
        decoded(&json)
    }
}

fn unreadable(error: &PayloadError) -> Problem {
    if is_too_slow(error) {
        too_slow()
    } else {
        Problem::new(Code::BadRequest).detail("the body could not be read to its end")
    }
}

/// Refuses what is small on the wire and large in memory, and what no text in the database can hold.
fn bounded(json: &[u8]) -> Result<(), &'static str> {
    let (mut depth, mut values, mut in_text, mut rest) = (0_usize, 0_usize, false, json);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'\\' if in_text && tail.starts_with(b"u0000") => return Err("holds a NUL character"),
            b'\\' if in_text => rest = tail.get(1..).unwrap_or_default(),
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DEPTH {
            return Err("is nested deeper than 64 levels");
        }
        if values >= VALUES {
            return Err("has more than 100000 values");
        }
    }
    Ok(())
}

fn decoded<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, error.inner())
    })?;
    reader.end().map_err(|error| refused(".", &error))?;
    Ok(value)
}

fn refused(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return Problem::new(Code::MalformedJson).detail(text);
    }
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    Problem::invalid(vec![FieldError::new(field(path, &message), message)]).detail(text)
}

/// The path of what is at fault. A field that is missing or too many is named by the message only.
fn field(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`'))
        .map_or("", |(name, _)| name);
    match (path, named) {
        (path, "") => path.to_owned(),
        ("", name) => name.to_owned(),
        // Where the reader had come to the field itself, the path ends with it already.
        (path, name) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        (path, name) => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        size: u8,
    }

    fn at(json: &str) -> (Value, Value) {
        let problem = decoded::<Outer>(json.as_bytes()).unwrap_err().to_json();
        (problem["code"].clone(), problem["errors"][0]["field"].clone())
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (body, field) in [
            (r#"{"name":1}"#, "name"),
            ("{}", "name"),
            (r#"{"name":"x","colour":"blue"}"#, "colour"),
            (r#"{"name":"x","name":"y"}"#, "name"),
            (r#"{"name":"x","inner":[{"size":1},{"size":"big"}]}"#, "inner[1].size"),
            (r#"{"name":"x","inner":[{"size":1},{}]}"#, "inner[1].size"),
            (r#"{"name":"x","inner":[{"size":1,"colour":2}]}"#, "inner[0].colour"),
            ("[]", ""),
            ("7", ""),
        ] {
            assert_eq!(at(body), (json!("invalid_body"), json!(field)), "{body}");
        }
        for body in ["", "{", r#"{"name":"x"} x"#, "nonsense", "{\"name\":\"\u{0}\"}"] {
            assert_eq!(at(body).0, "malformed_json", "{body}");
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_decoded() {
        assert!(bounded("[".repeat(65).as_bytes()).is_err());
        assert!(bounded(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
        assert!(bounded(format!("[{}]", vec!["0"; VALUES + 1].join(",")).as_bytes()).is_err());
        assert!(bounded(format!("[{}]", vec!["0"; VALUES].join(",")).as_bytes()).is_ok());
        assert!(bounded(br#"{"a":"\u0000"}"#).is_err());
    }

    #[test]
    fn what_stands_in_a_text_is_not_counted() {
        assert!(bounded(format!("\"{}\"", "[,\\\"".repeat(VALUES)).as_bytes()).is_ok());
        assert!(bounded(br#"{"a":"\\u0000"}"#).is_ok(), "a backslash and five characters");
        assert!(bounded(br#"{"a":"\"#).is_ok(), "cut short");
    }
}
