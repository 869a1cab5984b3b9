//! Embedding spaces: only vectors of the same space are comparable.

use serde::{Deserialize, Serialize};

/// The properties that make vectors comparable. Any difference makes another space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpaceSpec {
    /// The provider of the model: `local` or `openai`.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// Length of a vector.
    pub dimensions: u16,
    /// The text before a query.
    pub query_prefix: String,
    /// The text before a passage.
    pub passage_prefix: String,
}
