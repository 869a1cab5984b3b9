//! The nodes of pipelines, one file for each kind. A new kind is a variant of `NodeKind`, a file here, and a line in [`instantiate`].

mod chunk;
mod embed;
mod index;
mod partition;
mod upload;

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use nvisy_extract::Document;
use nvisy_shared::{
    domain::pipeline::NodeKind,
    store::chunk::{ChunkVector, NewChunk, Passage},
};

use crate::{
    engine::{Effect, Scope},
    runner::JobError,
};

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

/// A step of a pipeline.
#[async_trait]
pub trait Node: Send + Sync {
    /// Computes the output from the input, and adds the necessary writes to `effects`. Compiled plans give each node an input of
    /// its kind; another kind is a bug.
    async fn run(&self, scope: &Scope<'_>, input: Artifact, effects: &mut Vec<Effect>) -> Result<Artifact, JobError>;
}

/// The node of a kind.
#[must_use]
pub fn instantiate(kind: &NodeKind) -> Box<dyn Node> {
    match *kind {
        NodeKind::Upload => Box::new(upload::UploadNode),
        NodeKind::Partition => Box::new(partition::PartitionNode),
        NodeKind::Chunk { max_tokens, overlap_tokens } => Box::new(chunk::ChunkNode { max_tokens, overlap_tokens }),
        NodeKind::Embed => Box::new(embed::EmbedNode),
        NodeKind::Index => Box::new(index::IndexNode),
    }
}

/// The error for an input of another kind, which compiled plans never give.
fn wrong_input(node: &'static str) -> JobError {
    JobError::retry("a plan gave a node the wrong input")(node)
}
