//! What the settings of several providers have in common: limits that hold for all workers together, addresses, secrets of headers.

use url::Url;

use super::{InvalidSetting, model::CallRate};

/// Adds the problems of the limits of calls.
pub(super) fn call_limits(problems: &mut Vec<InvalidSetting>, concurrency: Option<u32>, rate_limit: Option<CallRate>) {
    range(problems, "concurrency", concurrency.unwrap_or(1), 1, 1000);
    if let Some(limit) = rate_limit {
        range(problems, "rateLimit.calls", limit.calls, 1, 1_000_000);
        range(problems, "rateLimit.perSeconds", limit.per_seconds, 1, 86_400);
    }
}

pub(super) fn range(problems: &mut Vec<InvalidSetting>, field: &str, value: u32, min: u32, max: u32) {
    if !(min..=max).contains(&value) {
        problems.push(InvalidSetting::new(field, format!("must be between {min} and {max}")));
    }
}

/// Adds the problem of the address of an HTTP server.
pub(super) fn base_url(problems: &mut Vec<InvalidSetting>, url: &Url) {
    let mut add = |message: &str| problems.push(InvalidSetting::new("baseUrl", message));
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        add("must be an http or https address");
    } else if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        add("must have no user, password or query");
    }
}

/// Adds the problem of a secret that becomes a header.
pub(super) fn header_secret(problems: &mut Vec<InvalidSetting>, field: &str, secret: &str) {
    if !(1..=4096).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(InvalidSetting::new(field, "must have 1 to 4096 visible ASCII characters"));
    }
}
