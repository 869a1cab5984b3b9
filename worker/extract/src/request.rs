//! The protocol of parent and child: a JSON line in, a postcard value or a sequence of them out, over one socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ExtractLimits;
use crate::{
    Document, Element, FileError, MediaType, OcrSettings, TextBox, sandbox::Confinement, unpack::UnpackLimits,
};

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
    /// Whether the reply is what confines the child, and no file is read.
    #[serde(default)]
    pub(super) is_probe: bool,
}

/// The child's whole output, if it reads a document or is a probe. The members of an archive are messages
/// ([`UnpackMessage`](crate::unpack::UnpackMessage)), each after its length in four bytes, lowest first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ChildReply {
    Document(#[serde(with = "DocumentFields")] Document),
    Confinement(Confinement),
    Failed(FileError),
    /// The models that recognise text are there and cannot be loaded, for this reason. No fault of the file.
    ModelFailure(String),
}

/// A document with all fields: the format of the reply has no names, so that none may be left out.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Document")]
struct DocumentFields {
    text: String,
    elements: Vec<Element>,
    boxes: Vec<TextBox>,
    page_count: Option<u32>,
    title: Option<String>,
    media_type: Option<MediaType>,
    properties: BTreeMap<String, String>,
    warnings: Vec<String>,
    failure: Option<FileError>,
}

/// The child's exit code for faults of its environment (no request, no limits, no descriptor). A retry may succeed.
pub(super) const EXIT_NOT_STARTED: u8 = 75;
