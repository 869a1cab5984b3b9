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
        unpack::{MEMBERS, Unpack},
    },
    options::NodeOptions,
    port::ELSE,
};

/// The name of the built-in pipeline.
pub const NAME: &str = "default";

/// How deep archives and mails within uploads are unpacked: an archive attached to a mail within a mail is.
const MAX_DEPTH: u32 = 3;

/// The definition of the built-in pipeline: uploads are unpacked, read, cut by sections, embedded, and written to the collection
/// `default`. The arguments are settings of [`ChunkSection`]; [`super::compile()`] validates them.
#[must_use]
pub fn definition(max_tokens: Option<u32>, overlap_tokens: u32) -> Definition {
    let chunk = ChunkSection { max_tokens, overlap_tokens, ..ChunkSection::default() };
    let nodes = vec![
        node("upload", &SourceFiles { trigger: Trigger::Upload, filter: None }),
        node("unpack", &Unpack { max_depth: MAX_DEPTH, ..Unpack::default() }),
        node("partition", &Partition::default()),
        node("chunk", &chunk),
        node("embed", &Embed {}),
        node("index", &SinkCollection::default()),
    ];
    let (members, others) = (format!("unpack.{MEMBERS}"), format!("unpack.{ELSE}"));
    let edges = [
        ("upload", "unpack"),
        (members.as_str(), "partition"),
        (others.as_str(), "partition"),
        ("partition", "chunk"),
        ("chunk", "embed"),
        ("embed", "index"),
    ];
    let edges = edges.map(|(from, to)| Edge::new(from, to)).to_vec();
    Definition { schema_version: SCHEMA_VERSION, nodes, slots: Vec::new(), edges }
}

fn node<T: NodeSpec>(id: &str, settings: &T) -> Node {
    let settings = match serde_json::to_value(settings) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    Node { id: id.to_owned(), kind: T::TYPE.to_owned(), options: NodeOptions::default(), settings }
}
