//! The secrets of test connections. Each contains a marker: `just test` fails when a log of the suite has it.

use reqwest::Request;
use serde_json::Value;

/// What every secret of a test connection contains; `no-secrets-in-logs` of the justfile looks for it.
pub const SECRET_MARKER: &str = "hunter2";
/// The fields of credentials that are secret and freely chosen.
const FIELDS: [&str; 7] =
    ["apiKey", "password", "secretAccessKey", "sessionToken", "token", "clientSecret", "refreshToken"];
/// The values of documented examples.
const EXAMPLES: [&str; 3] = ["sk-..", "..", "token-of-a-reader"];

/// A secret without the marker that a request gives to a connection. The password of the suite's PostgreSQL is not chosen here.
pub fn unmarked(request: &Request) -> Option<String> {
    let body =
        request.body().and_then(reqwest::Body::as_bytes).filter(|_| request.url().path().contains("/connections"))?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let of_suite = std::env::var("NVISY_TEST_DATABASE_URL").unwrap_or_default();
    let is_marked = |secret: &str| {
        secret.contains(SECRET_MARKER) || EXAMPLES.contains(&secret) || of_suite.contains(&format!(":{secret}@"))
    };
    let all = [&body["credentials"], &body["credentials"]["oauth"]];
    let mut secrets = all.into_iter().flat_map(|of| FIELDS.iter().filter_map(move |field| of[*field].as_str()));
    secrets.find(|secret| !is_marked(secret)).map(str::to_owned)
}
