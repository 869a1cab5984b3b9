//! The pipeline that every workspace is created with.

use serde_json::{Map, Value};

use super::{
    definition::{Definition, Edge, Node, SCHEMA_VERSION},
    node::{
        NodeSpec,
        chunk_section::ChunkSection,
        embed::Embed,
        partition::Partition,
        sink_collection::SinkCollection,
        source_files::{SourceFiles, Trigger},
    },
    options::NodeOptions,
};

/// The name of the built-in pipeline.
pub const NAME: &str = "default";

/// The definition of the built-in pipeline: uploads are read, cut by sections, embedded, and written to the collection
/// `default`. The arguments are settings of [`ChunkSection`]; [`super::compile()`] validates them.
#[must_use]
pub fn definition(max_tokens: Option<u32>, overlap_tokens: u32) -> Definition {
    let chunk = ChunkSection { max_tokens, overlap_tokens, ..ChunkSection::default() };
    let nodes = vec![
        node("upload", &SourceFiles { trigger: Trigger::Upload, filter: None }),
        node("partition", &Partition::default()),
        node("chunk", &chunk),
        node("embed", &Embed {}),
        node("index", &SinkCollection::default()),
    ];
    let edges = nodes.windows(2).map(|pair| Edge::new(&pair[0].id, &pair[1].id)).collect();
    Definition { schema_version: SCHEMA_VERSION, nodes, slots: Vec::new(), edges }
}

fn node<T: NodeSpec>(id: &str, settings: &T) -> Node {
    let settings = match serde_json::to_value(settings) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    Node { id: id.to_owned(), kind: T::TYPE.to_owned(), options: NodeOptions::default(), settings }
}
