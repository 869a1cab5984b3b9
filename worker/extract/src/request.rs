//! What parent and child say to each other: one JSON line in, one postcard value out, over one socket.

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::{Document, FileError};

/// What a file's owner says of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The name it was uploaded under; only its extension matters.
    pub file_name: String,
    /// The media type it was uploaded with, if any.
    pub declared_type: Option<String>,
}

/// What the child is told besides the bytes, on one line. The socket then stays open: the child ends when it closes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) source: Source,
    pub(super) limits: Limits,
}

/// The child's whole output.
pub(super) type Reply = Result<Document, FileError>;

/// The child's exit code when the fault is not the file's (no request, no limits, no descriptor): worth a retry.
pub(super) const EXIT_NOT_STARTED: u8 = 75;
