//! What a call of another system without a result means for the work that needs it.

use std::time::Duration;

use nvisy_shared::{
    domain::connection::InvalidSetting,
    domain::failure::{Failure, FailureCode},
    outbound::OutboundFailure,
};

/// Characters of a system's message that are kept.
const MAX_MESSAGE_CHARS: usize = 300;

/// Knows secrets that no text may contain.
pub trait Redact {
    /// The text without them.
    fn redact(&self, text: &str) -> String;
}

/// Why a call of another system has no result. No text contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The system has too much to do: waiting helps.
    #[error("it is busy: {reason}")]
    Busy {
        /// The wait that the system asks for.
        retry_after: Option<Duration>,
        /// The system's message.
        reason: String,
    },
    /// No connection, a timeout, an error of the system: another attempt may succeed.
    #[error("it is not available: {0}")]
    Unavailable(String),
    /// Credentials, address or settings are not accepted: a change of the connection, or at the system, helps.
    #[error("it does not accept the connection: {0}")]
    Blocked(String),
    /// One object, row or batch cannot be read or written, whenever it is tried; the others can.
    #[error("{}", .0.detail)]
    Item(Failure),
}

impl CallFailure {
    /// A failure of one object.
    pub fn item(code: FailureCode, detail: impl Into<String>) -> Self {
        Self::Item(Failure::new(code, detail))
    }

    /// The failure with a text before its own.
    #[must_use]
    pub fn with_context(self, context: &str) -> Self {
        let before = |text: String| format!("{context}: {text}");
        match self {
            Self::Busy { retry_after, reason } => Self::Busy { retry_after, reason: before(reason) },
            Self::Unavailable(text) => Self::Unavailable(before(text)),
            Self::Blocked(text) => Self::Blocked(before(text)),
            Self::Item(failure) => Self::Item(Failure { detail: before(failure.detail), ..failure }),
        }
    }

    /// The code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Item(failure) => failure.code.as_str(),
            failure => failure.name(),
        }
    }

    /// The label of the metric.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Blocked(_) => "blocked",
            Self::Item(_) => "item",
        }
    }

    /// The failure with a short text, without the values of the connection's credentials.
    #[must_use]
    pub fn redacted(self, connection: &impl Redact) -> Self {
        let redact = |text: String| shorten(&connection.redact(&text));
        match self {
            Self::Busy { retry_after, reason } => Self::Busy { retry_after, reason: redact(reason) },
            Self::Unavailable(text) => Self::Unavailable(redact(text)),
            Self::Blocked(text) => Self::Blocked(redact(text)),
            Self::Item(failure) => Self::Item(Failure { detail: redact(failure.detail), ..failure }),
        }
    }
}

fn shorten(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl From<OutboundFailure> for CallFailure {
    fn from(failure: OutboundFailure) -> Self {
        match failure {
            // A repetition meets the same certificate.
            OutboundFailure::Certificate(_) => Self::Blocked(failure.to_string()),
            failure if failure.is_temporary() => Self::Unavailable(failure.to_string()),
            failure => Self::Blocked(failure.to_string()),
        }
    }
}

impl From<InvalidSetting> for CallFailure {
    fn from(invalid: InvalidSetting) -> Self {
        Self::Blocked(format!("a setting cannot be used: {invalid}"))
    }
}
