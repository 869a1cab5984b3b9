//! What `nvisy-api` does besides serving.

mod health;
mod keys;

pub use health::health;
pub use keys::{KeysError, keys};
