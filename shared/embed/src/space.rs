//! Embedding spaces: vectors compare only within one.

use serde::{Deserialize, Serialize};

/// What makes two vectors comparable. Any difference here is another space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpaceSpec {
    /// Who computes the vectors: `local` or `openai`.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// Length of a vector.
    pub dimensions: u16,
    /// Put before a query's text.
    pub query_prefix: String,
    /// Put before a passage's text.
    pub passage_prefix: String,
}
