//! What every handler and node has at hand.

use std::{ops::Deref, path::PathBuf, sync::Arc};

use nvisy_shared::platform::Platform;

use crate::mail::Mailer;

/// Shared by all tasks of a worker; cheap to clone.
#[derive(Clone)]
pub struct Context {
    platform: Platform,
    /// The program that reads files in a process of its own: the worker's.
    pub extractor: Arc<PathBuf>,
    /// The mail server, if there is one.
    pub mailer: Option<Arc<Mailer>>,
}

impl Context {
    /// The platform, where the worker's program is, and the mail server.
    #[must_use]
    pub fn new(platform: Platform, extractor: PathBuf, mailer: Option<Mailer>) -> Self {
        Self { platform, extractor: Arc::new(extractor), mailer: mailer.map(Arc::new) }
    }
}

impl Deref for Context {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}
