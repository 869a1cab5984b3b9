//! Why a model cannot be opened, or a text not embedded.

use std::path::PathBuf;
use std::time::Duration;

/// Why an embedder could not be opened: always something for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not there or not complete.
    #[error("no embedding model in {}: {file} is missing; fetch the model with `just model` or point the directory setting to one", directory.display())]
    Missing {
        /// The directory by the settings.
        directory: PathBuf,
        /// The first file not found in it.
        file: &'static str,
    },
    /// A file of the model is damaged, or of a model this encoder does not know.
    #[error("the embedding model at {} cannot be used: {reason}", path.display())]
    Model {
        /// The file, or the directory where the files disagree.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is not what the model's description says.
    #[error("the embedding model cannot be used: tensor {name}: {reason}")]
    Tensor {
        /// Its name, without the prefix of the file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("the embedding settings cannot be used: {0}")]
    Setting(String),
    /// A thread of the encoder could not be started.
    #[error("no thread for the embedding model")]
    Thread(#[source] std::io::Error),
    /// Loading ended in a panic, which is a defect.
    #[error("loading the embedding model panicked")]
    Panicked,
}

/// Why texts were not embedded. The variant says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The server asks for patience (429, 503): try again then, and count no attempt.
    #[error("the embedding server is busy; try again in {} s", retry_after.as_secs())]
    Busy {
        /// From now.
        retry_after: Duration,
    },
    /// It may work another time: no connection, a timeout, 5xx, an answer that makes no sense.
    #[error("embedding is unavailable: {0}")]
    Unavailable(String),
    /// It will not work however often it is tried: bad key, unknown model, refused text.
    #[error("the embedding server refused: {0}")]
    Rejected(String),
}
