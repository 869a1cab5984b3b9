//! The nodes of pipelines, one file for each kind. A new type is a file in `shared::pipeline::node`, a file
//! here, and a line in [`instantiate`].

mod chunk_section;
mod embed;
mod partition;
mod sink_collection;
mod source_files;

use nvisy_shared::pipeline::node::Settings;

use super::contract::Node;
use crate::runner::JobError;

/// The node of a type. A pipeline with another one cannot be enabled (`shared::pipeline::runnable`).
pub(super) fn instantiate(settings: &Settings) -> Result<Box<dyn Node>, JobError> {
    Ok(match settings {
        Settings::SourceFiles(_) => Box::new(source_files::SourceFilesNode),
        Settings::Partition(_) => Box::new(partition::PartitionNode),
        Settings::ChunkSection(settings) => Box::new(chunk_section::ChunkSectionNode {
            max_tokens: settings.max_tokens,
            overlap_tokens: settings.overlap_tokens,
        }),
        Settings::Embed(_) => Box::new(embed::EmbedNode),
        Settings::SinkCollection(_) => Box::new(sink_collection::SinkCollectionNode),
        other => return Err(JobError::retry("this worker cannot run the node type")(other.kind())),
    })
}
