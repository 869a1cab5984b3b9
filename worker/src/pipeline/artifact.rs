//! The values that nodes of a segment pass to each other.

use std::{fs::File, sync::Arc};

use nvisy_extract::Document;
use nvisy_shared::store::chunk::{ChunkVector, NewChunk, Passage};

/// A value on an edge of a segment.
#[derive(Clone)]
pub enum Artifact {
    /// The input of a source and the output of a sink.
    Nothing,
    /// The bytes of a file, on the local disk until the last clone is dropped.
    File(StagedFile),
    /// A document.
    Document(Arc<Document>),
    /// Chunks that leave a segment; its border stores them.
    Chunks(Vec<NewChunk>),
    /// Stored chunks that enter a segment.
    Passages(Vec<Passage>),
    /// Vectors of stored chunks.
    Vectors(Vec<ChunkVector>),
}

/// Bytes on the local disk, with their name and type.
#[derive(Clone)]
pub struct StagedFile {
    /// Has no name in any directory, so that the kernel frees its space with the last clone, however the process ends.
    pub file: Arc<File>,
    /// The file's name.
    pub name: String,
    /// The media type declared at the upload.
    pub media_type: String,
}
