//! Why a handler stops before its job is done. Each `?` of a handler chooses one of these.

use std::{error::Error, time::Duration};

use nvisy_embed::EmbedError;
use nvisy_shared::{
    domain::{failure::Failure, filter::FilterError},
    id::SpaceId,
    outbound::OutboundFailure,
    pipeline::options::{NodeOptions, Retry},
    store,
};

use crate::{connectors::failure::CallFailure, pipeline::plans::PlanError, providers::ModelFailure};

/// How long a job waits before it looks again for free disk space.
const STORAGE_FULL_DELAY: Duration = Duration::from_secs(15);
/// How long a job waits for a worker that knows the node types of its definition.
const NEWER_WORKER_DELAY: Duration = Duration::from_secs(30);

/// Why a handler stopped.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The lease went to another worker: write nothing more.
    #[error("the lease of the job is lost")]
    LeaseLost,
    /// The job's subject is deleted or decided: nothing is left to do.
    #[error("there is nothing left to do")]
    Obsolete,
    /// A dependency of the job is busy, missing or unavailable for now. Costs no attempt.
    #[error("{what}")]
    Snooze {
        /// The reason for the wait.
        what: &'static str,
        /// The wait.
        delay: Duration,
        /// The failure behind it. It is logged; a wait in the normal course of events has none.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Something that a user or an operator can remedy, or time, keeps the job from going on. Costs no attempt, and members see the
    /// reason, which therefore contains no secret and nothing of a document.
    #[error("{reason}")]
    Blocked {
        /// The reason.
        reason: String,
        /// The wait.
        delay: Duration,
    },
    /// Only a worker that serves this space can do the job. Costs no attempt; members see why the job waits while there is none.
    #[error("this worker does not embed in the space {0}, and no model of NVISY_EMBEDDING_* has it")]
    OtherSpace(SpaceId),
    /// Another attempt may succeed. Costs an attempt.
    #[error("{what}")]
    Retry {
        /// The operation that failed.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
        /// The node of a pipeline that failed, with its own retry policy.
        at: Option<FailedNode>,
    },
    /// No attempt can succeed. The user sees the failure.
    #[error("{}", .0.detail)]
    Fail(Failure),
}

impl JobError {
    /// A [`JobError::Retry`] that names the operation that failed.
    pub fn retry<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Retry { what, source: source.into(), at: None }
    }

    /// A [`JobError::Snooze`] until an operator has made space in the named storage.
    pub fn storage_full<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Snooze { what, delay: STORAGE_FULL_DELAY, source: Some(source.into()) }
    }
}

/// The node of a pipeline that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedNode {
    /// Its id.
    pub node: String,
    /// Its retry policy; `None`: that of the queue.
    pub retry: Option<Retry>,
}

impl JobError {
    /// The node that failed, if one did.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Retry { at: Some(at), .. } => Some(&at.node),
            Self::Fail(failure) => failure.node.as_deref(),
            _ => None,
        }
    }

    /// What failed and why, where the cause is a provider's and may be shown to members.
    #[must_use]
    pub fn public_cause(&self) -> Option<String> {
        let Self::Retry { what, source, .. } = self else { return None };
        let cause = source.downcast_ref::<ModelFailure>().map(ToString::to_string);
        let cause = cause.or_else(|| source.downcast_ref::<CallFailure>().map(ToString::to_string));
        let cause = cause.or_else(|| source.downcast_ref::<EmbedError>().map(ToString::to_string));
        let cause = cause.or_else(|| source.downcast_ref::<OutboundFailure>().map(ToString::to_string));
        cause.map(|cause| format!("{what}: {cause}"))
    }

    /// The retry policy of the node that failed, if it has one.
    #[must_use]
    pub const fn retry_policy(&self) -> Option<Retry> {
        match self {
            Self::Retry { at: Some(FailedNode { retry, .. }), .. } => *retry,
            _ => None,
        }
    }

    /// The error, at a node.
    #[must_use]
    pub fn at(self, node: &str, options: &NodeOptions) -> Self {
        match self {
            Self::Retry { what, source, at: None } => {
                let at = Some(FailedNode { node: node.to_owned(), retry: options.retry });
                Self::Retry { what, source, at }
            }
            Self::Fail(failure) if failure.node.is_none() => Self::Fail(failure.at(node)),
            other => other,
        }
    }
}

impl From<PlanError> for JobError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Deleted => Self::Obsolete,
            PlanError::Store(error) => error.into(),
            // Definitions are valid when they are stored. During an update, workers of the version before meet those of the new
            // one, and must not spend the attempts of its items.
            PlanError::Invalid(invalid) => {
                let problem = invalid.0.first().map(|problem| format!(": {problem}")).unwrap_or_default();
                let reason = format!("a newer worker is required for the definition of the pipeline{problem}");
                Self::Blocked { reason, delay: NEWER_WORKER_DELAY }
            }
        }
    }
}

/// Filters are valid when they are stored, as definitions are. Without its condition, a run would take all files.
impl From<FilterError> for JobError {
    fn from(error: FilterError) -> Self {
        let reason = format!("a newer worker is required for the filter of the run: {error}");
        Self::Blocked { reason, delay: NEWER_WORKER_DELAY }
    }
}

/// A database that fails may be restarting, so the job is retried.
impl From<store::Error> for JobError {
    fn from(source: store::Error) -> Self {
        if store::is_full(&source) {
            return Self::storage_full("the disk of PostgreSQL is full")(source);
        }
        Self::retry("the database failed")(source)
    }
}
