use serde::{Deserialize, Serialize};

use super::Job;
use crate::{
    domain::job::Lane,
    id::{ChunkId, CollectionId},
};

/// Computes the vectors of chunks of a collection whose text was edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedChunks {
    /// The collection.
    pub collection: CollectionId,
    /// The chunks, at most [`EmbedChunks::MAX_CHUNKS`].
    pub chunks: Vec<ChunkId>,
}

impl EmbedChunks {
    /// The chunks of one job.
    pub const MAX_CHUNKS: usize = 64;

    /// The jobs for chunks.
    pub fn of(collection: CollectionId, chunks: &[ChunkId]) -> impl Iterator<Item = Self> {
        chunks.chunks(Self::MAX_CHUNKS).map(move |chunks| Self { collection, chunks: chunks.to_vec() })
    }
}

impl Job for EmbedChunks {
    const KIND: &'static str = "chunks.embed";
    const VERSION: i32 = 1;

    fn lane(&self) -> Lane {
        Lane::Model
    }
}
