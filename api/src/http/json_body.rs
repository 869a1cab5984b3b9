//! JSON bodies: read within bounds, then decoded; errors name the field.

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

/// Decoding takes stack for each level of nesting.
const MAX_DEPTH: usize = 64;
/// A decoded value takes many times the two bytes that it takes on the wire.
const MAX_VALUES: usize = 100_000;

/// A body that has not been read yet.
pub struct JsonBody {
    payload: Decompress<Payload>,
    is_json: bool,
    declared: usize,
    limit: usize,
}

impl JsonBody {
    /// The body of a request.
    pub fn of(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Self {
        let mime = request.mime_type().ok().flatten();
        let is_json = mime.is_some_and(|mime| mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON));
        let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let payload = Decompress::from_headers(payload.take(), request.headers());
        Self { payload, is_json, declared: declared.unwrap_or_default(), limit }
    }

    /// Reads the body to its end and decodes it.
    pub async fn decode<T: DeserializeOwned>(mut self) -> Result<T, Problem> {
        if !self.is_json {
            return Err(Problem::new(Code::UnsupportedMediaType)
                .detail("the content type of the body must be application/json"));
        }
        let too_large = || {
            Problem::new(Code::PayloadTooLarge)
                .detail(format!("the JSON body of this operation can have at most {} bytes", self.limit))
        };
        if self.declared > self.limit {
            return Err(too_large());
        }
        let mut json = BytesMut::with_capacity(self.declared);
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|error| body_problem(&error))?;
            if json.len() + chunk.len() > self.limit {
                return Err(too_large());
            }
            json.extend_from_slice(&chunk);
        }
        decode_bounded(&json)
    }
}

/// Decodes JSON that has been read: a body, or a part of a form.
pub fn decode_bounded<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    check_bounds(json).map_err(|message| Problem::invalid(vec![FieldError::new("", message)]))?;
    decode_json(json)
}

pub fn body_problem(error: &PayloadError) -> Problem {
    if is_too_slow(error) {
        too_slow()
    } else {
        Problem::new(Code::BadRequest).detail("the body ended before it was complete")
    }
}

/// Rejects JSON that is small on the wire and large in memory, and NUL characters, which PostgreSQL cannot store.
fn check_bounds(json: &[u8]) -> Result<(), &'static str> {
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
        if depth > MAX_DEPTH {
            return Err("is nested deeper than 64 levels");
        }
        if values >= MAX_VALUES {
            return Err("has more than 100000 values");
        }
    }
    Ok(())
}

fn decode_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        rejected(&path, error.inner())
    })?;
    reader.end().map_err(|error| rejected(".", &error))?;
    Ok(value)
}

fn rejected(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return Problem::new(Code::MalformedJson).detail(text);
    }
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    Problem::invalid(vec![FieldError::new(field_path(path, &message), message)]).detail(text)
}

/// The path of the field at fault. For a missing or surplus field, only the message has its name.
pub fn field_path(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`'))
        .map_or("", |(name, _)| name);
    match (path, named) {
        (path, "") => path.to_owned(),
        ("", name) => name.to_owned(),
        // The path ends with the field already where the decoder had reached it.
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
        let problem = decode_json::<Outer>(json.as_bytes()).unwrap_err().to_json();
        (problem["code"].clone(), problem["errors"][0]["field"].clone())
    }

    #[test]
    fn decoding_errors_name_the_field() {
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
    fn deep_or_large_json_is_rejected_before_decoding() {
        assert!(check_bounds("[".repeat(65).as_bytes()).is_err());
        assert!(check_bounds(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
        assert!(check_bounds(format!("[{}]", vec!["0"; MAX_VALUES + 1].join(",")).as_bytes()).is_err());
        assert!(check_bounds(format!("[{}]", vec!["0"; MAX_VALUES].join(",")).as_bytes()).is_ok());
        assert!(check_bounds(br#"{"a":"\u0000"}"#).is_err());
    }

    #[test]
    fn characters_in_strings_do_not_count() {
        assert!(check_bounds(format!("\"{}\"", "[,\\\"".repeat(MAX_VALUES)).as_bytes()).is_ok());
        assert!(check_bounds(br#"{"a":"\\u0000"}"#).is_ok(), "a backslash and five characters");
        assert!(check_bounds(br#"{"a":"\"#).is_ok(), "cut short");
    }
}
