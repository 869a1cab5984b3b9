//! Failures of file processing, with stable codes.

use sea_orm::{DeriveActiveEnum, EnumIter, Iterable};
use serde::{Deserialize, Serialize};

/// The reason why a file failed. Codes are part of the HTTP contract: new ones are added, existing ones never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// No extractor supports this type of content.
    UnsupportedMedia,
    /// The content is protected by a password.
    Encrypted,
    /// The content is not valid for its format.
    Corrupt,
    /// The content has no text.
    Empty,
    /// The content exceeds a limit on pages, text or expanded size.
    TooLarge,
    /// Extraction exceeded its time limit.
    TimedOut,
    /// Extraction exceeded its memory limit.
    OutOfMemory,
    /// The embedding provider rejected the content or the credentials.
    ProviderRejected,
    /// The workspace has reached its quota of chunks.
    QuotaExceeded,
    /// A condition of a `check` node did not hold.
    CheckFailed,
    /// An expression has no value for this file.
    ExpressionFailed,
    /// An element does not match the schema of a step.
    SchemaMismatch,
    /// The service of a step rejects the request for good.
    ServiceRejected,
    /// The response of a step's service is not valid, too large, or does not match the schema.
    InvalidResponse,
    /// The address of a service is not allowed.
    AddressRefused,
    /// The run was cancelled.
    Cancelled,
    /// The collection that the pipeline writes to does not exist.
    CollectionNotFound,
    /// The connection that the pipeline uses does not exist, or is disabled.
    ConnectionNotFound,
    /// The table or collection behind a connection does not exist, or has other columns or dimensions.
    TargetMismatch,
    /// The answer of a model is not what the node asks for, also after it was told so.
    InvalidModelOutput,
    /// The budget of the run, or that of the connection or the workspace for this month, is spent.
    BudgetExceeded,
    /// The name of an object in the source cannot be used.
    InvalidName,
    /// The object in the source changed while it was read.
    SourceChanged,
    /// The object in the source was deleted, or cannot be opened any more.
    SourceMissing,
    /// The source cannot be listed with these settings.
    SourceRejected,
    /// A job failed at every attempt; `dead_job` has the cause.
    AttemptsExhausted,
}

impl FailureCode {
    /// All codes.
    pub fn all() -> impl Iterator<Item = Self> {
        <Self as Iterable>::iter()
    }

    /// The identifier in the API and the database.
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
            Self::CheckFailed => "check_failed",
            Self::ExpressionFailed => "expression_failed",
            Self::SchemaMismatch => "schema_mismatch",
            Self::ServiceRejected => "service_rejected",
            Self::InvalidResponse => "invalid_response",
            Self::AddressRefused => "address_refused",
            Self::Cancelled => "cancelled",
            Self::CollectionNotFound => "collection_not_found",
            Self::ConnectionNotFound => "connection_not_found",
            Self::TargetMismatch => "target_mismatch",
            Self::InvalidModelOutput => "invalid_model_output",
            Self::BudgetExceeded => "budget_exceeded",
            Self::InvalidName => "invalid_name",
            Self::SourceChanged => "source_changed",
            Self::SourceMissing => "source_missing",
            Self::SourceRejected => "source_rejected",
            Self::AttemptsExhausted => "attempts_exhausted",
        }
    }
}

/// The failure of a file: a code for programs and a detail for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason.
    pub code: FailureCode,
    /// One sentence; never contains document text.
    pub detail: String,
    /// The node of the pipeline that failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), node: None }
    }

    /// The failure, at a node.
    #[must_use]
    pub fn at(self, node: impl Into<String>) -> Self {
        Self { node: Some(node.into()), ..self }
    }
}
