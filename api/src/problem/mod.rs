//! How requests fail: RFC 9457 problems, from one table.
//!
//! Handlers and extractors return a [`Problem`]; the error middleware gives it the request's id, logs it if it is ours, and puts
//! the framework's own failures into the same shape.

mod rate_limit_status;
mod table;
mod wire;

use std::{borrow::Cow, error::Error, fmt};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use nvisy_shared::store;

pub use rate_limit_status::RateLimitStatus;
pub use table::Code;
pub use wire::{Body, FieldError};

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
    /// A problem that its title says all about.
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), retry_after: None, cause: None, rate_limit: None }
    }

    /// Whether this is what went wrong.
    pub fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// There is no such thing, or it is not the caller's to know of.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// Fields of the body cannot be used.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::InvalidBody) }
    }

    /// Which of the table it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Names the fields, or limits, at fault.
    pub fn fields(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    /// Our fault. The cause is logged and not shown.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    /// Worth another try after so many seconds.
    pub fn unavailable(retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::Unavailable) }
    }

    /// Adds what is particular to this occurrence: one sentence that helps the caller to do better.
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Adds in how many seconds another try may succeed.
    pub fn retry_in(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Adds the limit that was reached.
    pub fn rate_limit(self, status: RateLimitStatus) -> Self {
        Self { rate_limit: Some(status), ..self }
    }

    /// Adds what only the log may say.
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
            // The pool is exhausted or the database is away: it passes, and the caller may try again.
            error if store::is_transient(&error) => Self::unavailable(1).caused_by(error),
            _ => Self::internal(error),
        }
    }
}

impl From<garde::Report> for Problem {
    fn from(report: garde::Report) -> Self {
        Self::invalid(
            report.iter().map(|(path, error)| FieldError::new(camel(&path.to_string()), error.message())).collect(),
        )
    }
}

/// Validation speaks of Rust fields, clients of JSON fields.
fn camel(path: &str) -> String {
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
    use super::camel;

    #[test]
    fn paths_are_named_as_clients_write_them() {
        assert_eq!(camel("display_name"), "displayName");
        assert_eq!(camel("filter.max_tokens[0]"), "filter.maxTokens[0]");
    }
}
