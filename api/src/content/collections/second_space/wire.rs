//! Requests and responses of the operations on second spaces.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::space::{MAX_DIMENSIONS, SecondSpaceState},
    id::ConnectionId,
    store,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        model::RequestedSpace,
        wire::{EmbeddingSpace, Quantisation},
    },
    service::SecondSpaceEstimate,
};
use crate::http::{string_schema::Text, validation::text};

/// The model of a second space: one of `model` and `connection`.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "model_example")]
pub struct SecondSpaceModel {
    /// The name of an embedding model, as `listEmbeddingModels` returns it.
    #[garde(inner(custom(text(1, 200))))]
    #[schemars(with = "Option<Text<1, 200>>")]
    pub model: Option<String>,
    /// The id of a connection of kind `embedding` whose server computes the vectors.
    #[garde(skip)]
    pub connection: Option<Uuid>,
    /// The number of dimensions; absent: that of the model's vectors. Fewer, if the model is truncatable.
    #[garde(inner(range(min = 1, max = MAX_DIMENSIONS)))]
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: Option<u16>,
    /// What the index keeps of a vector; absent: `half`, above 4000 dimensions `binary`.
    #[garde(skip)]
    pub quantisation: Option<Quantisation>,
}

impl From<SecondSpaceModel> for RequestedSpace {
    fn from(body: SecondSpaceModel) -> Self {
        let SecondSpaceModel { model, connection, dimensions, quantisation } = body;
        Self { model, connection: connection.map(ConnectionId), dimensions, quantisation: quantisation.map(Into::into) }
    }
}

fn model_example() -> Value {
    json!({ "model": "multilingual-e5-small" })
}

/// A change of a second space.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeSecondSpace {
    /// Whether vectors are computed for it.
    #[garde(skip)]
    pub state: RequestedState,
}

fn change_example() -> Value {
    json!({ "state": "paused" })
}

/// A state that can be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestedState {
    /// Missing vectors are computed, also after a failure or a pause.
    Running,
    /// No vectors are computed, also not of new files.
    Paused,
}

/// What it takes to fill a second space.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SecondSpaceEstimate")]
pub struct EstimateView {
    /// The chunks to embed.
    pub chunks: i64,
    /// Their tokens, by the model that they were cut for.
    pub tokens: i64,
    /// Chunks whose vectors the workspace has already.
    pub known_chunks: i64,
    /// The cost, by the price of the connection; absent: there is no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The seconds of the model's calls, by the speed at which workers have recently embedded with it; absent: it was not
    /// measured. Other work comes first, so it may take longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
}

impl From<SecondSpaceEstimate> for EstimateView {
    fn from(estimate: SecondSpaceEstimate) -> Self {
        let SecondSpaceEstimate { found, cost, seconds } = estimate;
        Self {
            chunks: found.chunks - found.known_chunks,
            tokens: found.tokens - found.known_tokens,
            known_chunks: found.known_chunks,
            cost: cost.map(|micros| micros as f64 / 1e6),
            seconds,
        }
    }
}

/// The second space of a collection.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SecondSpace {
    /// The space. After an exchange it is the one that the collection had before.
    pub space: EmbeddingSpace,
    /// How far it is.
    pub state: State,
    /// Whether the spaces are exchanged as soon as it is complete.
    pub exchange_requested: bool,
    /// The chunks to embed since the work began.
    pub chunks: i64,
    /// Those of them that are done.
    pub done: i64,
    /// Those of them that the provider rejects: they are found by words only.
    pub rejected: i64,
    /// The tokens that the model was given.
    pub tokens: i64,
    /// The tokens of vectors that the workspace had already.
    pub tokens_saved: i64,
    /// The seconds that the rest takes, by the speed so far; absent where nothing is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<i64>,
    /// Why the work failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<SecondSpaceFailure>,
    /// The time of creation.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// How far a second space is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SecondSpaceState")]
pub enum State {
    /// Vectors of existing chunks are computed; new chunks get vectors in both spaces.
    Running,
    /// Nothing is computed for it.
    Paused,
    /// The work failed; it can be resumed.
    Failed,
    /// Every chunk has its vector in both spaces.
    Ready,
    /// Its vectors are being deleted.
    Deleting,
}

impl From<SecondSpaceState> for State {
    fn from(state: SecondSpaceState) -> Self {
        match state {
            SecondSpaceState::Running => Self::Running,
            SecondSpaceState::Paused => Self::Paused,
            SecondSpaceState::Failed => Self::Failed,
            SecondSpaceState::Ready => Self::Ready,
            SecondSpaceState::Deleting => Self::Deleting,
        }
    }
}

/// Why the work for a second space failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondSpaceFailure {
    /// The reason, for machines.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

impl From<store::second_space::SecondSpace> for SecondSpace {
    fn from(row: store::second_space::SecondSpace) -> Self {
        let detail = row.failure_detail.unwrap_or_default();
        Self {
            space: EmbeddingSpace {
                id: row.space_id.0,
                provider: row.provider,
                model: row.model,
                dimensions: row.dimensions,
                quantisation: row.quantisation.into(),
                connection_id: row.connection_id.map(|id| id.0),
            },
            state: row.state.into(),
            exchange_requested: row.exchange_requested,
            chunks: row.chunks,
            done: row.done,
            rejected: row.rejected,
            tokens: row.tokens,
            tokens_saved: row.tokens_saved,
            seconds_left: row.seconds_left,
            failure: row.failure_code.map(|code| SecondSpaceFailure { code: code.as_str().to_owned(), detail }),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
