//! Embedding spaces: only vectors of the same space are comparable.

use serde::{Deserialize, Serialize};

use crate::DimensionsError;

/// The largest number of dimensions of a space.
pub const MAX_DIMENSIONS: u16 = 4_096;

/// The properties that make vectors comparable. Any difference makes another space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpaceSpec {
    /// The provider of the model: `local` or `openai`.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// Length of a vector: that of the model's vectors, or fewer of their first numbers.
    pub dimensions: u16,
    /// The text before a query.
    pub query_prefix: String,
    /// The text before a passage.
    pub passage_prefix: String,
}

impl SpaceSpec {
    /// The space of the same model whose vectors are the first numbers of those of this one.
    ///
    /// # Errors
    /// [`DimensionsError`] if there are not so many, or the model was not trained for fewer (`truncatable`).
    pub fn with_dimensions(&self, dimensions: u16, truncatable: bool) -> Result<Self, DimensionsError> {
        let model = self.dimensions;
        if dimensions == 0 || dimensions > model {
            return Err(DimensionsError::OutOfRange { model });
        }
        if dimensions != model && !truncatable {
            return Err(DimensionsError::NotTruncatable { model });
        }
        if dimensions > MAX_DIMENSIONS {
            return Err(DimensionsError::TooMany);
        }
        Ok(Self { dimensions, ..self.clone() })
    }
}
