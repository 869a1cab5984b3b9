//! The context of handlers and nodes.

use std::{ops::Deref, path::PathBuf, sync::Arc};

use nvisy_shared::platform::Platform;

use crate::{
    access_tokens::AccessTokens, embedding_speeds::EmbeddingSpeeds, mail::SmtpMailer, parked_listings::ParkedListings,
    pipeline::plans::Plans, search_permits::SearchPermits,
};

/// The shared state of a worker; cheap to clone.
#[derive(Clone)]
pub struct Context {
    platform: Platform,
    /// The program that extracts files in a child process: that of the worker.
    pub extractor: Arc<PathBuf>,
    /// The plans of pipelines.
    pub plans: Plans,
    /// The access tokens of connections.
    pub tokens: AccessTokens,
    /// Listings whose jobs wait.
    pub(crate) listings: ParkedListings,
    /// The calls of searches to connections.
    pub search_permits: SearchPermits,
    /// How fast this worker embeds.
    pub embedding_speeds: EmbeddingSpeeds,
    /// The mail server, if one is configured.
    pub mailer: Option<Arc<SmtpMailer>>,
}

impl Context {
    /// A context from its parts.
    #[must_use]
    pub fn new(platform: Platform, extractor: PathBuf, mailer: Option<SmtpMailer>) -> Self {
        let (plans, tokens, listings, search_permits, embedding_speeds) = Default::default();
        let (extractor, mailer) = (Arc::new(extractor), mailer.map(Arc::new));
        Self { platform, extractor, plans, tokens, listings, search_permits, embedding_speeds, mailer }
    }
}

impl Deref for Context {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}
