//! Which handler takes which payload.

use std::collections::HashMap;

use async_trait::async_trait;
use nvisy_shared::{domain::failure::Failure, job::Job, store::job::Claim};
use serde_json::Value as Json;

use super::JobError;
use crate::context::Context;

/// What a worker does with one kind of job.
#[async_trait]
pub trait Handler: Job {
    /// Does the work and ends the job, through [`super::settle`].
    ///
    /// # Errors
    /// Says whether and when to try again.
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError>;

    /// Writes down that the work will never be done. The job is ended by the caller, in the same transaction.
    ///
    /// # Errors
    /// The database's.
    async fn give_up(&self, tx: &nvisy_shared::store::Tx, claim: &Claim, failure: &Failure) -> Result<(), JobError>;
}

/// A handler with its payload, without the payload's type.
#[async_trait]
pub(super) trait Task: Send + Sync {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError>;
    async fn give_up(&self, tx: &nvisy_shared::store::Tx, claim: &Claim, failure: &Failure) -> Result<(), JobError>;
}

#[async_trait]
impl<H: Handler> Task for H {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        Handler::run(self, cx, claim).await
    }

    async fn give_up(&self, tx: &nvisy_shared::store::Tx, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        Handler::give_up(self, tx, claim, failure).await
    }
}

type Decode = fn(Json) -> Result<Box<dyn Task>, serde_json::Error>;

/// The kinds and versions this worker knows.
#[derive(Default)]
pub struct Registry {
    decoders: HashMap<(&'static str, i32), Decode>,
}

/// Why a job has no task here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undecoded {
    /// A newer worker will know it: wait for one.
    #[error("this worker does not know version {version} of `{kind}`")]
    Unknown { kind: String, version: i32 },
    /// Nobody will ever read it.
    #[error("the payload of `{kind}` cannot be read")]
    Unreadable { kind: String, source: serde_json::Error },
}

impl Registry {
    /// Also knows `H`.
    #[must_use]
    pub fn with<H: Handler>(mut self) -> Self {
        let decode: Decode = |payload| Ok(Box::new(serde_json::from_value::<H>(payload)?));
        self.decoders.insert((H::KIND, H::VERSION), decode);
        self
    }

    /// The kind as a metric's label: one of those known here, so that labels stay few.
    pub(super) fn label(&self, kind: &str) -> &'static str {
        self.decoders.keys().find(|(known, _)| *known == kind).map_or("unknown", |(known, _)| known)
    }

    pub(super) fn decode(&self, claim: &Claim) -> Result<Box<dyn Task>, Undecoded> {
        let unknown = || Undecoded::Unknown { kind: claim.kind.clone(), version: claim.version };
        let decode = self.decoders.get(&(claim.kind.as_str(), claim.version)).ok_or_else(unknown)?;
        decode(claim.payload.clone()).map_err(|source| Undecoded::Unreadable { kind: claim.kind.clone(), source })
    }
}
