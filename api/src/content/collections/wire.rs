//! Requests and responses of the collection operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::{
        history::MAX_HISTORY_DAYS,
        slug::is_slug,
        space::{self, MAX_DIMENSIONS},
    },
    id::{CollectionId, ConnectionId},
    platform::spaces::ServedSpace,
    store::{self, collection::CollectionKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    model::RequestedSpace,
    service::{CollectionChange, RequestedCollection},
};
use crate::{
    http::{
        string_schema::{Prose, Text},
        validation::{nullable, present, prose, slug_but_no_id, text},
    },
    problem::Problem,
};

/// The path of a collection.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct CollectionPath {
    /// The collection's id or name.
    #[schemars(length(min = 1, max = 63))]
    pub collection: String,
}

impl CollectionPath {
    /// 404 for a text that can be no name: PostgreSQL rejects some of them, such as those with NUL.
    pub fn key(self) -> Result<CollectionKey, Problem> {
        match self.collection.parse() {
            Ok(id) => Ok(CollectionKey::Id(CollectionId(id))),
            Err(_) if is_slug(&self.collection) => Ok(CollectionKey::Name(self.collection)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}

/// A collection to create.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "create_example")]
pub struct CreateCollection {
    /// The name, unique in the workspace: a short name for URLs and definitions of pipelines.
    #[garde(custom(slug_but_no_id))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// A description for people.
    #[garde(inner(custom(prose(1000))))]
    #[schemars(with = "Option<Prose<1000>>")]
    pub description: Option<String>,
    /// The name of the embedding model, as `listEmbeddingModels` returns it; absent: the server's default.
    #[garde(inner(custom(text(1, 200))))]
    #[schemars(with = "Option<Text<1, 200>>")]
    pub model: Option<String>,
    /// The id of a connection of kind `embedding` whose server computes the vectors, in place of `model`.
    #[garde(skip)]
    pub connection: Option<Uuid>,
    /// The number of dimensions; absent: that of the model's vectors. Fewer, if the model is truncatable. Needs `model` or
    /// `connection`.
    #[garde(inner(range(min = 1, max = MAX_DIMENSIONS)))]
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: Option<u16>,
    /// What the index keeps of a vector; absent: `half`, above 4000 dimensions `binary`. Needs `model` or `connection`.
    #[garde(skip)]
    pub quantisation: Option<Quantisation>,
    /// The maximum number of chunks; absent: only the quota of the workspace counts. A file with more fails with `quota_exceeded`.
    #[garde(inner(range(min = 0)))]
    #[schemars(range(min = 0))]
    pub max_chunks: Option<i64>,
    /// For how many days passages stay searchable with `asOf` after new ones have replaced them; absent: 0.
    #[garde(inner(range(min = 0, max = MAX_HISTORY_DAYS)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "i32", range(min = 0, max = 3650))]
    pub history_days: Option<i32>,
}

fn create_example() -> Value {
    json!({ "name": "reports", "description": "Yearly reports of all sites." })
}

/// Changes of a collection; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeCollection {
    /// The name, unique in the workspace. The collection `default` keeps its name.
    #[garde(inner(custom(slug_but_no_id)))]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// A description for people.
    #[garde(inner(custom(prose(1000))))]
    #[schemars(with = "Option<Prose<1000>>")]
    pub description: Option<String>,
    /// The name of the embedding model of an empty collection. One with vectors moves to another model with
    /// `createSecondSpace`.
    #[garde(inner(custom(text(1, 200))))]
    #[schemars(with = "Option<Text<1, 200>>")]
    pub model: Option<String>,
    /// The id of a connection of kind `embedding` whose server computes the vectors from now on, in place of `model`.
    #[garde(skip)]
    pub connection: Option<Uuid>,
    /// The number of dimensions; absent: that of the model's vectors. Fewer, if the model is truncatable. Needs `model` or
    /// `connection`.
    #[garde(inner(range(min = 1, max = MAX_DIMENSIONS)))]
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: Option<u16>,
    /// What the index keeps of a vector; absent: `half`, above 4000 dimensions `binary`. Needs `model` or `connection`.
    #[garde(skip)]
    pub quantisation: Option<Quantisation>,
    /// The maximum number of chunks; `null`: only the quota of the workspace counts. Chunks that are there stay.
    #[garde(inner(inner(range(min = 0))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub max_chunks: Option<Option<i64>>,
    /// For how many days passages stay searchable with `asOf` after new ones have replaced them. Fewer days delete older ones.
    #[garde(inner(range(min = 0, max = MAX_HISTORY_DAYS)))]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "i32", range(min = 0, max = 3650))]
    pub history_days: Option<i32>,
}

impl From<CreateCollection> for RequestedCollection {
    fn from(body: CreateCollection) -> Self {
        let CreateCollection {
            name,
            description,
            model,
            connection,
            dimensions,
            quantisation,
            max_chunks,
            history_days,
        } = body;
        let space = requested_space(model, connection, dimensions, quantisation);
        let history_days = history_days.unwrap_or_default();
        Self { name, description: description.unwrap_or_default(), space, max_chunks, history_days }
    }
}

impl From<ChangeCollection> for CollectionChange {
    fn from(body: ChangeCollection) -> Self {
        let ChangeCollection {
            name,
            description,
            model,
            connection,
            dimensions,
            quantisation,
            max_chunks,
            history_days,
        } = body;
        let space = requested_space(model, connection, dimensions, quantisation);
        Self { name, description, space, max_chunks, history_days }
    }
}

fn requested_space(
    model: Option<String>,
    connection: Option<Uuid>,
    dimensions: Option<u16>,
    quantisation: Option<Quantisation>,
) -> RequestedSpace {
    let (connection, quantisation) = (connection.map(ConnectionId), quantisation.map(Into::into));
    RequestedSpace { model, connection, dimensions, quantisation }
}

fn change_example() -> Value {
    json!({ "description": "Yearly reports of all sites." })
}

/// A collection: a named index of a workspace.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// The collection's id.
    pub id: Uuid,
    /// The name, unique in the workspace.
    pub name: String,
    /// The description.
    pub description: String,
    /// The embedding space of its vectors; absent until the first one is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<EmbeddingSpace>,
    /// The maximum number of chunks; absent: only the quota of the workspace counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chunks: Option<i64>,
    /// For how many days passages stay searchable with `asOf` after new ones have replaced them.
    pub history_days: i32,
    /// The time since when that is so; absent: `historyDays` is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_since: Option<DateTime<Utc>>,
    /// The contents that search reads.
    pub usage: CollectionUsage,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// An embedding space: vectors of the same space are comparable.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddingSpace {
    /// The embedding space's id.
    pub id: Uuid,
    /// The provider of the model: `local` or `openai`.
    pub provider: String,
    /// The provider's name of the model.
    pub model: String,
    /// The number of dimensions of a vector.
    pub dimensions: i32,
    /// What the index keeps of a vector.
    pub quantisation: Quantisation,
    /// The connection whose server computes the vectors; absent: a model of the installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<Uuid>,
}

/// What the index of a space keeps of a vector. The vectors themselves always have two bytes per dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantisation {
    /// Its numbers, of two bytes each; up to 4000 dimensions.
    Half,
    /// The signs of its numbers, one bit each: a smaller index. Searches rank more candidates by their exact distances.
    Binary,
}

impl From<space::Quantisation> for Quantisation {
    fn from(quantisation: space::Quantisation) -> Self {
        match quantisation {
            space::Quantisation::Half => Self::Half,
            space::Quantisation::Binary => Self::Binary,
        }
    }
}

impl From<Quantisation> for space::Quantisation {
    fn from(quantisation: Quantisation) -> Self {
        match quantisation {
            Quantisation::Half => Self::Half,
            Quantisation::Binary => Self::Binary,
        }
    }
}

/// The contents of a collection.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectionUsage {
    /// The number of files.
    pub files: i64,
    /// The number of chunks.
    pub chunks: i64,
    /// The number of vectors.
    pub vectors: i64,
}

impl From<store::collection::Collection> for Collection {
    fn from(row: store::collection::Collection) -> Self {
        let space = row.space_id.zip(row.space_provider);
        let space = space.zip(row.space_model).zip(row.space_dimensions).zip(row.space_quantisation);
        Self {
            id: row.id.0,
            name: row.name,
            description: row.description,
            space: space.map(|((((id, provider), model), dimensions), quantisation)| EmbeddingSpace {
                id: id.0,
                provider,
                model,
                dimensions,
                quantisation: quantisation.into(),
                connection_id: row.space_connection_id.map(|id| id.0),
            }),
            max_chunks: row.max_chunks,
            history_days: row.history_days,
            history_since: row.history_since,
            usage: CollectionUsage { files: row.files, chunks: row.chunks, vectors: row.vectors },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The embedding models of the server.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddingModels {
    /// The models; the first one is the default of new collections.
    pub items: Vec<EmbeddingModel>,
}

/// An embedding model.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddingModel {
    /// The name: `model` of a collection.
    pub name: String,
    /// The provider of the model: `local` or `openai`.
    pub provider: String,
    /// The number of dimensions of a vector in collections that request no other.
    pub dimensions: u16,
    /// The number of dimensions of the model's own vectors.
    pub model_dimensions: u16,
    /// Whether collections may have fewer dimensions: the first numbers of the model's vectors are vectors, too.
    pub truncatable: bool,
}

impl From<&ServedSpace> for EmbeddingModel {
    fn from(space: &ServedSpace) -> Self {
        let (embedder, spec) = (&space.embedder, space.embedder.space());
        Self {
            name: spec.model.clone(),
            provider: spec.provider.clone(),
            dimensions: spec.dimensions,
            model_dimensions: embedder.model_dimensions(),
            truncatable: embedder.is_truncatable(),
        }
    }
}
