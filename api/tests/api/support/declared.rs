//! Compares every response of the tests with the committed OpenAPI document: status, code, media type and headers.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use super::TestResponse;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/openapi.json");

/// Headers that a response has exactly where the document declares them.
const DECLARED_HEADERS: [&str; 7] = [
    "content-disposition",
    "content-range",
    "etag",
    "idempotency-replayed",
    "location",
    "retry-after",
    "www-authenticate",
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(SNAPSHOT).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).expect("the snapshot is JSON")
});

/// Fails unless the operation of this path declares the response. Other paths and methods are not in the document.
#[track_caller]
pub fn assert_declared(method: &Method, path: &str, response: &TestResponse) {
    let Some(operation) = operation(method, path) else { return };
    let id = &operation["operationId"];
    let status = response.status.as_u16();
    let declared = &operation["responses"][status.to_string()];
    assert!(declared.is_object(), "{id} does not declare the status {status}: {}", response.text);
    let media_type = response.header("content-type");
    if let Some(content) = declared["content"].as_object() {
        let name = if content.contains_key("*/*") && status < 400 { "*/*" } else { media_type };
        assert!(content.contains_key(name), "{id} does not declare the media type {media_type} for {status}");
        if media_type == "application/problem+json" {
            let problem: Value = serde_json::from_str(&response.text).expect("a problem");
            let code = problem["code"].as_str().expect("a code");
            assert!(content[name]["examples"][code].is_object(), "{id} does not declare the error {code}");
        }
    } else {
        assert_eq!(response.text, "", "{id} declares no body for {status}");
    }
    for name in DECLARED_HEADERS {
        let headers = declared["headers"].as_object().into_iter().flatten();
        let header =
            headers.into_iter().find(|(declared, _)| declared.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let is_sent = response.headers.contains_key(name);
        assert!(header.is_some() || !is_sent, "{id} does not declare the header {name} for {status}");
        let is_required = header.is_some_and(|header| header["required"] == true);
        assert!(is_sent || !is_required, "{id} did not send the header {name} with {status}");
    }
}

/// The operation of a path; a literal segment is preferred to a parameter.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let segments: Vec<_> = path.split('/').collect();
    let matches = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        let same = parts.iter().zip(&segments).all(|(part, segment)| part == segment || part.starts_with('{'));
        parts.len() == segments.len() && same
    };
    let templates = DOCUMENT["paths"].as_object()?.iter().filter(|(template, _)| matches(template));
    let (_, operations) = templates.min_by_key(|(template, _)| template.matches('{').count())?;
    operations.get(method.as_str().to_lowercase())
}
