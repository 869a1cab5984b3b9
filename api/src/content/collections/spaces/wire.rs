//! Responses about the spaces of a workspace.

use apistos::ApiComponent;
use nvisy_shared::store::space_usage::UsingCollection;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{super::wire::EmbeddingSpace, service::SpaceStatus};

/// An embedding space of a workspace.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct UsedSpace {
    /// The space.
    pub space: EmbeddingSpace,
    /// The collections that have vectors of it, by name.
    pub collections: Vec<SpaceCollection>,
    /// The chunks of these collections that search reads.
    pub chunks: i64,
    /// Those of them that have a vector of the space.
    pub vectors: i64,
    /// Whether the vectors of queries are computed: the server that responds has the model, or for a connection's, a worker is in
    /// operation.
    pub serves_queries: bool,
    /// Whether the vectors of passages are computed: a worker in operation has the model, or for a connection's, any is.
    pub serves_passages: bool,
}

/// A collection that has vectors of a space.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpaceCollection {
    /// The id.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// Whether the space is the second one of the collection, which search does not read.
    pub is_second: bool,
    /// The chunks that search reads.
    pub chunks: i64,
    /// Those of them that have a vector of the space.
    pub vectors: i64,
}

impl From<UsingCollection> for SpaceCollection {
    fn from(using: UsingCollection) -> Self {
        let UsingCollection { id, name, is_second, chunks, vectors } = using;
        Self { id: id.0, name, is_second, chunks, vectors }
    }
}

impl From<SpaceStatus> for UsedSpace {
    fn from(status: SpaceStatus) -> Self {
        let SpaceStatus { space, collections, serves_queries, serves_passages } = status;
        Self {
            space: EmbeddingSpace {
                id: space.id.0,
                provider: space.provider,
                model: space.model,
                dimensions: space.dimensions,
                quantisation: space.quantisation.into(),
                connection_id: space.connection_id.map(|id| id.0),
            },
            chunks: collections.iter().map(|collection| collection.chunks).sum(),
            vectors: collections.iter().map(|collection| collection.vectors).sum(),
            collections: collections.into_iter().map(SpaceCollection::from).collect(),
            serves_queries,
            serves_passages,
        }
    }
}
