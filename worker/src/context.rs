//! What every handler and node has at hand.

use std::{ops::Deref, path::PathBuf, sync::Arc};

use nvisy_shared::platform::Platform;

/// Shared by all tasks of a worker; cheap to clone.
#[derive(Clone)]
pub struct Context {
    platform: Platform,
    /// The program that reads files in a process of its own: the worker's.
    pub extractor: Arc<PathBuf>,
}

impl Context {
    /// The platform, and where the worker's program is.
    #[must_use]
    pub fn new(platform: Platform, extractor: PathBuf) -> Self {
        Self { platform, extractor: Arc::new(extractor) }
    }
}

impl Deref for Context {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}
