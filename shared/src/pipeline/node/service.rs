//! What the node types that call a service of the tenant have in common: address, batches, time, and JSON Schemas.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use url::Url;

use crate::pipeline::problem::{NodeProblems, ProblemCode};

/// Maximum length of an address, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// Maximum number of elements in a request.
pub const MAX_BATCH_SIZE: u32 = 1_000;
/// Maximum time of a request, in seconds.
pub const MAX_REQUEST_SECONDS: u32 = 600;
/// Maximum size of a JSON Schema, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Maximum memory of a compiled pattern of a schema, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A JSON Schema that reads nothing from elsewhere, and whose patterns take linear time.
///
/// # Errors
/// A sentence that says why it is not a JSON Schema.
pub fn schema(schema: &Value) -> Result<Validator, String> {
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(format!("has more than {MAX_SCHEMA_BYTES} bytes"));
    }
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err("is neither an object nor a boolean".to_owned());
    }
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).map_err(|error| error.to_string())
}

/// Adds the problem of an address.
pub(super) fn validate_url(url: &str, problems: &mut NodeProblems<'_>) {
    if let Err((message, remedy)) = check_url(url) {
        problems.add(ProblemCode::InvalidSetting, "url", message, remedy);
    }
}

/// Whether an address is one that requests can be sent to.
///
/// # Errors
/// The fault and its remedy, if it is not.
pub fn check_url(url: &str) -> Result<(), (String, &'static str)> {
    let wrong = |message: &str, remedy| Err((message.to_owned(), remedy));
    if url.len() > MAX_URL_BYTES {
        return wrong("has more than 2048 bytes", "shorten it");
    }
    match Url::parse(url) {
        Ok(url) if !matches!(url.scheme(), "https" | "http") => {
            wrong("begins neither with https: nor with http:", "use the address of an HTTP server")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let remedy = "remove them, and let the service verify the signature of requests";
            wrong("contains credentials, which all members of the workspace would see", remedy)
        }
        Ok(url) if url.fragment().is_some() => wrong("has a fragment, which is never sent", "remove it from `#` on"),
        Ok(_) => Ok(()),
        Err(error) => Err((error.to_string(), "use a complete address such as https://example.org/step")),
    }
}

/// Adds the problems of the number of elements in a request, and of its time.
pub(super) fn validate_request(batch_size: u32, seconds: u32, problems: &mut NodeProblems<'_>) {
    problems.range("batchSize", batch_size, 1, MAX_BATCH_SIZE);
    problems.range("requestTimeoutSeconds", seconds, 1, MAX_REQUEST_SECONDS);
}

/// Adds the problem of a JSON Schema.
pub(super) fn validate_schema(field: &str, value: Option<&Value>, problems: &mut NodeProblems<'_>) {
    if let Some(Err(reason)) = value.map(schema) {
        let remedy = "use a JSON Schema without references to other documents";
        problems.add(ProblemCode::InvalidSetting, field, format!("is no JSON Schema: {reason}"), remedy);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_reads_no_other_document_and_its_patterns_take_linear_time() {
        assert!(schema(&json!({ "type": "object", "required": ["a"] })).unwrap().is_valid(&json!({ "a": 1 })));
        for invalid in [
            json!({ "$ref": "https://example.org/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "type": "no type" }),
            json!("text"),
            json!({ "pattern": "(?<=a)b" }),
            json!({ "pattern": format!("({}){{1000}}", "\\w{100}") }),
            json!({ "description": "a".repeat(MAX_SCHEMA_BYTES) }),
        ] {
            assert!(schema(&invalid).is_err(), "{}", invalid.to_string().chars().take(80).collect::<String>());
        }
        let backtracking = schema(&json!({ "pattern": "^(a+)+$" })).unwrap();
        assert!(!backtracking.is_valid(&json!(format!("{}!", "a".repeat(50_000)))));
    }
}
