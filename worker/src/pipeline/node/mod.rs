//! The nodes of pipelines, one file for each kind. A new kind is a variant of `NodeKind`, a file here, and a line in [`instantiate`].

mod chunk;
mod embed;
mod index;
mod partition;
mod upload;

use nvisy_shared::domain::pipeline::NodeKind;

use super::contract::Node;

/// The node of a kind.
#[must_use]
pub(super) fn instantiate(kind: &NodeKind) -> Box<dyn Node> {
    match *kind {
        NodeKind::Upload => Box::new(upload::UploadNode),
        NodeKind::Partition => Box::new(partition::PartitionNode),
        NodeKind::Chunk { max_tokens, overlap_tokens } => Box::new(chunk::ChunkNode { max_tokens, overlap_tokens }),
        NodeKind::Embed => Box::new(embed::EmbedNode),
        NodeKind::Index => Box::new(index::IndexNode),
    }
}
