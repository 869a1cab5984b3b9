//! Errors of opening models, of embedding and of reranking.

use std::path::PathBuf;
use std::time::Duration;

use crate::space::MAX_DIMENSIONS;

/// A model could not be opened. The operator has to correct the settings or the model's files.
#[derive(Debug, thiserror::Error)]
pub enum OpenModelError {
    /// The model directory is missing or incomplete.
    #[error("no embedding model in {}: {file} is missing; fetch the model with `just model` or point the directory setting to one", directory.display())]
    Missing {
        /// The directory that the settings name.
        directory: PathBuf,
        /// The first file that is missing in it.
        file: &'static str,
    },
    /// A file of the model is damaged, or the encoder does not support the model.
    #[error("the model at {} cannot be used: {reason}", path.display())]
    Model {
        /// The file, or the directory where the files disagree.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A tensor contradicts the model's description.
    #[error("the model cannot be used: tensor {name}: {reason}")]
    Tensor {
        /// The tensor's name in the file.
        name: String,
        /// The fault.
        reason: String,
    },
    /// A setting is invalid.
    #[error("the embedding settings cannot be used: {0}")]
    Setting(String),
    /// A thread of the encoder could not be started.
    #[error("a thread for the model cannot be started")]
    Thread(#[source] std::io::Error),
    /// Loading panicked, which is a defect of the program.
    #[error("loading the model panicked")]
    Panicked,
}

/// A model gives no vectors of the requested length. The text continues a sentence about the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimensionsError {
    /// The number is 0, or above the length of the model's vectors.
    #[error("must be between 1 and {model}, the dimensions of the model's vectors")]
    OutOfRange {
        /// The length of the model's vectors.
        model: u16,
    },
    /// The settings do not say that the model's vectors may be cut.
    #[error(
        "must be {model}, the dimensions of the model's vectors: its settings do not say that they are truncatable"
    )]
    NotTruncatable {
        /// The length of the model's vectors.
        model: u16,
    },
    /// The number is above [`MAX_DIMENSIONS`].
    #[error("must be at most {max}", max = MAX_DIMENSIONS)]
    TooMany,
}

/// Texts were not embedded. The variant says whether a retry can succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The server is busy (429, 503). A retry after `retry_after` counts as no attempt.
    #[error("the embedding server is busy; try again in {} s: {reason}", retry_after.as_secs())]
    Busy {
        /// The time to wait from now.
        retry_after: Duration,
        /// The server's message.
        reason: String,
    },
    /// The server accepts no request with these settings (401 to 404, redirects, an exhausted account), whatever the texts are. An
    /// operator has to correct them, or the account; until then work waits.
    #[error("the embedding server does not accept the settings: {0}")]
    Blocked(String),
    /// A retry may succeed: no connection, a timeout, 5xx, an invalid response.
    #[error("embedding is unavailable: {0}")]
    Unavailable(String),
    /// No retry succeeds: the server rejects the texts.
    #[error("the embedding server rejected the request: {0}")]
    Rejected(String),
}

/// Passages were not scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RerankError {
    /// The query or a passage has no tokens of the model.
    #[error("a text cannot be split into tokens: {0}")]
    Rejected(String),
    /// The model panicked, which is a defect of the program.
    #[error("the reranking model panicked")]
    Panicked,
    /// The model gave a score that is no number: its weights are damaged.
    #[error("the reranking model gave a score that is no number")]
    NotANumber,
}
