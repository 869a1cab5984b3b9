//! What `nvisy-api` does besides serving.

mod keys;

pub use keys::{KeysError, keys};
