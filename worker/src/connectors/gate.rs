//! Calls of connections within limits that all workers share: concurrency, rate, and the circuit that opens when a system fails.
//! One path for models, sources and sinks.

use std::{error::Error, time::Duration};

use nvisy_shared::{
    domain::connection::{CallLimits, CallRate},
    id::{ConnectionId, WorkspaceId},
    store::{self, Db, TransactionTrait, job::Claim, rate_limit::Rate},
    telemetry::metrics::metrics,
};

use super::{connection::OpenConnection, failure::CallFailure};
use crate::{context::Context, runner::JobError};

/// How long a job waits for another one to end its calls.
const WAIT_FOR_CALL: Duration = Duration::from_millis(500);
/// Longest wait for a rate limit before it is asked again.
const MAX_RATE_WAIT: Duration = Duration::from_secs(60);
/// The wait for a busy system that names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long nothing is sent to a system that does not accept the connection. A change of the connection ends it.
pub const BLOCKED_DELAY: Duration = Duration::from_secs(60);
/// Failures in a row after which nothing is sent for a while.
const CIRCUIT_FAILURES: i32 = 5;
/// How long that is at first; it doubles with each further failure.
const FIRST_CIRCUIT_DELAY: Duration = Duration::from_secs(10);
/// The longest time without a call.
const MAX_CIRCUIT_DELAY: Duration = Duration::from_secs(300);

/// The connection of a call.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// The context of the worker.
    pub cx: &'a Context,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its name.
    pub name: &'a str,
    /// Its limits.
    pub limits: CallLimits,
}

impl<'a> Gate<'a> {
    /// The gate of a connection.
    #[must_use]
    pub fn of(cx: &'a Context, connection: &'a OpenConnection) -> Self {
        let limits = connection.limits();
        Self { cx, workspace: connection.workspace, connection: connection.id, name: &connection.name, limits }
    }

    /// Fails while nothing is sent.
    ///
    /// # Errors
    /// [`JobError::Blocked`] with the reason.
    pub async fn check_circuit(&self) -> Result<(), JobError> {
        let blocks = store::connection::blocks(&self.cx.db, self.workspace).await?;
        if let Some(block) = blocks.into_iter().find(|block| block.connection_id == self.connection) {
            let delay = Duration::try_from_secs_f64(block.seconds).unwrap_or(BLOCKED_DELAY);
            return Err(JobError::Blocked { reason: block.reason, delay });
        }
        Ok(())
    }

    /// Begins the calls of a job that makes one at a time; they end with the job. Waits for nothing: a job that may not call now is
    /// given back.
    ///
    /// # Errors
    /// [`JobError::Snooze`] while as many calls as the limit allows are made.
    pub async fn begin(&self, claim: &Claim) -> Result<(), JobError> {
        self.begin_parallel(claim, 1).await.map(drop)
    }

    /// As [`Gate::begin`], of a job that makes up to `wanted` calls at the same time; returns how many it may make, at least one.
    ///
    /// # Errors
    /// As [`Gate::begin`].
    pub async fn begin_parallel(&self, claim: &Claim, wanted: usize) -> Result<usize, JobError> {
        let Some(limit) = self.limits.concurrency else { return Ok(wanted) };
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let wanted = i32::try_from(wanted.max(1)).unwrap_or(i32::MAX);
        let tx = self.cx.db.begin().await?;
        let begun = store::connection::begin_calls(&tx, self.connection, claim, limit, wanted).await?;
        tx.commit().await?;
        if begun > 0 {
            return Ok(usize::try_from(begun).unwrap_or(1));
        }
        let what = "as many calls as the connection's `concurrency` allows are made";
        Err(JobError::Snooze { what, delay: WAIT_FOR_CALL, source: None })
    }

    /// Takes up to `calls` calls from the rate limit; returns how many may be made now, at least one.
    ///
    /// # Errors
    /// [`JobError::Snooze`] while there is none.
    pub async fn take(&self, calls: u32) -> Result<u32, JobError> {
        let Some(CallRate { calls: capacity, per_seconds }) = self.limits.rate_limit else { return Ok(calls) };
        let per_second = f64::from(capacity) / f64::from(per_seconds);
        let key = [b"connection:".as_slice(), self.connection.0.as_bytes()].concat();
        let wanted = calls.min(capacity).max(1);
        let grant = store::rate_limit::take(&self.cx.db, &key, Rate { capacity, per_second }, wanted).await?;
        if grant.granted == 0 {
            let wait = Duration::try_from_secs_f64((1.0 - grant.tokens) / per_second).unwrap_or(MAX_RATE_WAIT);
            let what = "the connection has been called as often as its `rateLimit` allows";
            return Err(JobError::Snooze { what, delay: wait.min(MAX_RATE_WAIT), source: None });
        }
        Ok(u32::try_from(grant.granted).unwrap_or(1))
    }

    /// Records that a call succeeded. It ends no block, which another call has made meanwhile: `Retry-After` holds for all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn succeeded(&self) -> Result<(), JobError> {
        Ok(store::connection::record_success(&self.cx.db, self.workspace, self.connection).await?)
    }

    /// Keeps all workers from calling the connection for some time; returns the error of the job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn block(&self, delay: Duration, reason: String) -> Result<JobError, JobError> {
        store::connection::block(&self.cx.db, self.workspace, self.connection, delay, &reason).await?;
        Ok(JobError::Blocked { reason, delay })
    }

    /// Records that a system is not available; returns the error of the job, which waits when that has happened often.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unavailable(
        &self,
        what: &'static str,
        failure: impl Error + Send + Sync + 'static,
    ) -> Result<JobError, JobError> {
        let reason = self.reason(&failure);
        let failures = store::connection::record_failure(&self.cx.db, self.workspace, self.connection, &reason).await?;
        match circuit_delay(failures) {
            Some(delay) => self.block(delay, reason).await,
            None => Ok(JobError::retry(what)(failure)),
        }
    }

    /// A failure with the name of the connection, for members.
    pub fn reason(&self, failure: &impl Error) -> String {
        format!("connection `{}`: {failure}", self.name)
    }

    /// The error of a job whose call failed: it waits, is tried again, or fails.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failed(&self, failure: CallFailure) -> Result<JobError, JobError> {
        metrics().provider_error("connection", failure.name());
        let reason = self.reason(&failure);
        match failure {
            CallFailure::Busy { retry_after, .. } => self.block(wait_of(retry_after), reason).await,
            CallFailure::Blocked(_) => self.block(BLOCKED_DELAY, reason).await,
            CallFailure::Unavailable(_) => {
                self.unavailable("the system behind the connection is not available", failure).await
            }
            CallFailure::Item(failure) => Ok(JobError::Fail(failure)),
        }
    }
}

/// Waits until a server may be called: once in `delay`, by all jobs of a workspace together.
pub async fn wait_for_server(db: &Db, workspace: WorkspaceId, server: &str, delay: Duration) {
    if delay.is_zero() {
        return;
    }
    let key = [b"server:".as_slice(), workspace.0.as_bytes(), server.as_bytes()].concat();
    let rate = Rate { capacity: 1, per_second: delay.as_secs_f64().recip() };
    loop {
        match store::rate_limit::take(db, &key, rate, 1).await {
            Ok(grant) if grant.granted > 0 => return,
            Ok(grant) => tokio::time::sleep(delay.mul_f64((1.0 - grant.tokens).clamp(0.001, 1.0))).await,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn Error,
                    "the pace of a server cannot be shared, this job keeps it"
                );
                return tokio::time::sleep(delay).await;
            }
        }
    }
}

/// The wait that a busy system asks for.
#[must_use]
pub fn wait_of(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(DEFAULT_RETRY_AFTER)
}

/// How long nothing is sent after so many failures in a row; `None`: the next call is made at once.
fn circuit_delay(failures: i32) -> Option<Duration> {
    let over = u32::try_from(failures - CIRCUIT_FAILURES).ok()?;
    Some(FIRST_CIRCUIT_DELAY.saturating_mul(2_u32.saturating_pow(over.min(10))).min(MAX_CIRCUIT_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuit_opens_after_five_failures_and_stays_open_longer_each_time() {
        assert_eq!(circuit_delay(4), None);
        assert_eq!(circuit_delay(5), Some(FIRST_CIRCUIT_DELAY));
        assert_eq!(circuit_delay(6), Some(FIRST_CIRCUIT_DELAY * 2));
        assert_eq!(circuit_delay(1000), Some(MAX_CIRCUIT_DELAY));
    }
}
