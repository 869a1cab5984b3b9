//! Why a file could not be processed, in words that stay.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// The typed reason of a failed file. Codes are part of the HTTP contract: they are added, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// No extractor reads this kind of content.
    UnsupportedMedia,
    /// The content is protected by a password.
    Encrypted,
    /// The content is not what its format requires.
    Corrupt,
    /// There is no text in it.
    Empty,
    /// It has more pages, text or expanded bytes than one file may have.
    TooLarge,
    /// Reading it took longer than one file may take.
    TimedOut,
    /// Reading it took more memory than one file may take.
    OutOfMemory,
    /// The embedding provider refuses this content or these credentials.
    ProviderRejected,
    /// The workspace has as many chunks as it may.
    QuotaExceeded,
    /// A step failed at every attempt; the dead job has the cause.
    AttemptsExhausted,
}

impl FailureCode {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedMedia => "unsupported_media",
            Self::Encrypted => "encrypted",
            Self::Corrupt => "corrupt",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::TimedOut => "timed_out",
            Self::OutOfMemory => "out_of_memory",
            Self::ProviderRejected => "provider_rejected",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AttemptsExhausted => "attempts_exhausted",
        }
    }
}

/// A file's failure: the code for programs, the detail for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The typed reason.
    pub code: FailureCode,
    /// One sentence; never a piece of the document.
    pub detail: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}
