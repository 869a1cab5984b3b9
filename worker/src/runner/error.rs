//! Why a handler stops before its job is done. Each `?` of a handler chooses one of these.

use std::{error::Error, time::Duration};

use nvisy_shared::{domain::failure::Failure, store};

/// How long a job waits before it looks again for free disk space.
const STORAGE_FULL_DELAY: Duration = Duration::from_secs(15);

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
    /// Another attempt may succeed. Costs an attempt.
    #[error("{what}")]
    Retry {
        /// The operation that failed.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No attempt can succeed. The user sees the failure.
    #[error("{}", .0.detail)]
    Fail(Failure),
}

impl JobError {
    /// A [`JobError::Retry`] that names the operation that failed.
    pub fn retry<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Retry { what, source: source.into() }
    }

    /// A [`JobError::Snooze`] until an operator has made space in the named storage.
    pub fn storage_full<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Snooze { what, delay: STORAGE_FULL_DELAY, source: Some(source.into()) }
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
