//! One file for each kind of node. A new kind is a variant of `NodeKind`, a file here, and a line in [`instantiate`].

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
    store::chunk::{Embedded, NewChunk, Passage},
};

use crate::{
    engine::{Effect, Scope},
    runner::JobError,
};

/// What flows along the edges of a segment.
#[derive(Clone)]
pub enum Artifact {
    /// Into a source, out of a sink.
    Nothing,
    /// A file's bytes, on this machine's disk until the last holder lets go.
    File(StagedFile),
    /// A document.
    Document(Arc<Document>),
    /// Chunks on their way out of a segment: the border makes them durable.
    Chunks(Vec<NewChunk>),
    /// Durable chunks on their way into a segment.
    Passages(Vec<Passage>),
    /// Vectors of durable chunks.
    Vectors(Vec<Embedded>),
}

/// Bytes on disk, with what is known of them.
#[derive(Clone)]
pub struct StagedFile {
    /// Has no name in any directory; its space is free again with the last clone, however the process ends.
    pub file: Arc<File>,
    /// The file's name.
    pub name: String,
    /// What the uploader said it is.
    pub media_type: String,
}

/// A step of a pipeline.
#[async_trait]
pub trait Node: Send + Sync {
    /// Takes an input, gives an output, and says what is to be written. Plans are compiled so that
    /// inputs are of the right kind; another kind is an error of ours.
    async fn run(&self, scope: &Scope<'_>, input: Artifact, effects: &mut Vec<Effect>) -> Result<Artifact, JobError>;
}

/// The node that does what `kind` says.
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

/// The plan gave a node what it does not take; compiled plans never do.
fn wrong_input(node: &'static str) -> JobError {
    JobError::retry("a plan gave a node the wrong input")(node)
}
