//! The protocol of parent and child: a JSON line in, a postcard value or a sequence of them out, over one socket.

use serde::{Deserialize, Serialize};

use super::ExtractLimits;
use crate::{Document, FileError, OcrSettings, unpack::UnpackLimits};

/// What the uploader declared about the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileInfo {
    /// The file name; only its extension matters.
    pub file_name: String,
    /// The declared media type, if any.
    pub declared_type: Option<String>,
}

/// The request, on one line; the bytes are the child's standard input. The socket stays open: the child exits when it closes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChildRequest {
    pub(super) info: FileInfo,
    pub(super) limits: ExtractLimits,
    #[serde(default)]
    pub(super) ocr: OcrSettings,
    /// Present: the reply is the file's members, not a document.
    #[serde(default)]
    pub(super) unpack: Option<UnpackLimits>,
}

/// The child's whole output, if it reads a document. The members of an archive are messages
/// ([`UnpackMessage`](crate::unpack::UnpackMessage)), each after its length in four bytes, lowest first.
pub(super) type ChildReply = Result<Document, FileError>;

/// The child's exit code for faults of its environment (no request, no limits, no descriptor). A retry may succeed.
pub(super) const EXIT_NOT_STARTED: u8 = 75;
