//! Errors of requests: RFC 9457 problems, from one table.
//!
//! Handlers and extractors return a [`Problem`]; the error middleware adds the request's id, logs server errors, and converts
//! errors of the framework to problems.

mod rate_limit_status;
mod table;
mod wire;

use std::{borrow::Cow, error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use nvisy_shared::store;

pub use rate_limit_status::RateLimitStatus;
pub use table::Code;
pub use wire::{FieldError, MEDIA_TYPE, ProblemBody};

/// A request that failed.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    rate_limit: Option<RateLimitStatus>,
}

impl Problem {
    /// A problem without details.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), retry_after: None, cause: None, rate_limit: None }
    }

    /// Whether the problem has this code.
    pub fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// 404: the resource does not exist, or the caller must not know that it does.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// 422: these fields of the body are invalid.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::InvalidBody) }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence about this occurrence.
    pub fn reason(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Adds the invalid fields, or the exceeded limits.
    pub fn fields(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// 500: a server error. The cause is logged and not shown.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    /// 503: the client may retry after so many seconds.
    pub fn unavailable(retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::Unavailable) }
    }

    /// Adds a sentence about this occurrence that helps the caller to correct the request.
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Adds `Retry-After`.
    pub fn retry_in(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Adds the `RateLimit-*` headers.
    pub fn rate_limit(self, status: RateLimitStatus) -> Self {
        Self { rate_limit: Some(status), ..self }
    }

    /// Adds a cause, which only the log shows.
    pub fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.title())
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.respond(None)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            // The pool is exhausted or the database is unavailable: both are temporary.
            error if store::is_transient(&error) => Self::unavailable(1).caused_by(error),
            _ => Self::internal(error),
        }
    }
}

impl From<garde::Report> for Problem {
    fn from(report: garde::Report) -> Self {
        Self::invalid(
            report.iter().map(|(path, error)| FieldError::new(json_path(&path.to_string()), error.message())).collect(),
        )
    }
}

/// The JSON path of a Rust path: validation errors name Rust fields.
fn json_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut upper = false;
    for c in path.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => out.extend(c.to_uppercase()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::json_path;

    #[test]
    fn field_paths_are_in_camel_case() {
        assert_eq!(json_path("display_name"), "displayName");
        assert_eq!(json_path("filter.max_tokens[0]"), "filter.maxTokens[0]");
    }
}
