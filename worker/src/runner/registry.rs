//! The table of handlers, by kind and version of the payload.

use std::collections::HashMap;

use futures::future::BoxFuture;
use nvisy_shared::{
    domain::failure::Failure,
    job::Job,
    store::{change::Change, job::Claim},
};
use serde_json::Value as Json;

use super::JobError;
use crate::context::Context;

/// The work of one kind of job. Its methods are `async fn` in implementations.
///
/// Not a trait of `async_trait`, because of the time to compile: that adds bounds to each method (`'life0: 'async_trait`), and the
/// compiler keeps proofs by bounds. So it would prove for each method anew that all futures within are `Send`. `ErasedHandler` boxes
/// the futures instead.
pub trait Handler: Job {
    /// Does the work and completes the job, through [`super::complete_in_tx`].
    ///
    /// # Errors
    /// The error says whether and when to retry.
    fn run(&self, cx: &Context, claim: &Claim) -> impl Future<Output = Result<(), JobError>> + Send;

    /// The number of attempts, the first included.
    fn attempts(&self, cx: &Context) -> i32 {
        cx.config.queue.attempts
    }

    /// Records that the work will never be done. The caller ends the job in the same change.
    fn give_up(
        &self,
        change: &mut Change,
        claim: &Claim,
        failure: &Failure,
    ) -> impl Future<Output = Result<(), JobError>> + Send;
}

/// A handler without the type of its payload.
pub(super) trait ErasedHandler: Send + Sync {
    fn run<'a>(&'a self, cx: &'a Context, claim: &'a Claim) -> BoxFuture<'a, Result<(), JobError>>;
    fn attempts(&self, cx: &Context) -> i32;
    fn give_up<'a>(
        &'a self,
        change: &'a mut Change,
        claim: &'a Claim,
        failure: &'a Failure,
    ) -> BoxFuture<'a, Result<(), JobError>>;
}

impl<H: Handler> ErasedHandler for H {
    fn run<'a>(&'a self, cx: &'a Context, claim: &'a Claim) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(Handler::run(self, cx, claim))
    }

    fn attempts(&self, cx: &Context) -> i32 {
        Handler::attempts(self, cx)
    }

    fn give_up<'a>(
        &'a self,
        change: &'a mut Change,
        claim: &'a Claim,
        failure: &'a Failure,
    ) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(Handler::give_up(self, change, claim, failure))
    }
}

type Decode = fn(Json) -> Result<Box<dyn ErasedHandler>, serde_json::Error>;

/// The kinds and versions of jobs that this worker knows.
#[derive(Default)]
pub struct Registry {
    decoders: HashMap<(&'static str, i32), Decode>,
}

/// Why a job has no handler here.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    /// Only a newer worker knows it, so the job waits for one.
    #[error("this worker does not know version {version} of `{kind}`")]
    UnknownKind { kind: String, version: i32 },
    /// No worker can read it.
    #[error("the payload of `{kind}` cannot be read")]
    InvalidPayload { kind: String, source: serde_json::Error },
}

impl Registry {
    /// Adds a handler.
    #[must_use]
    pub fn with<H: Handler>(mut self) -> Self {
        let decode: Decode = |payload| Ok(Box::new(serde_json::from_value::<H>(payload)?));
        self.decoders.insert((H::KIND, H::VERSION), decode);
        self
    }

    /// The kind as a metric's label. Kinds that are not known here share one label, so that labels stay few.
    pub(super) fn label(&self, kind: &str) -> &'static str {
        self.decoders.keys().find(|(known, _)| *known == kind).map_or("unknown", |(known, _)| known)
    }

    pub(super) fn decode(&self, claim: &Claim) -> Result<Box<dyn ErasedHandler>, DecodeError> {
        let unknown = || DecodeError::UnknownKind { kind: claim.kind.clone(), version: claim.version };
        let decode = self.decoders.get(&(claim.kind.as_str(), claim.version)).ok_or_else(unknown)?;
        decode(claim.payload.clone()).map_err(|source| DecodeError::InvalidPayload { kind: claim.kind.clone(), source })
    }
}
