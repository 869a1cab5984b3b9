//! One attempt at one job: claim, decode, run, and record the outcome.

use std::{error::Error, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use nvisy_shared::{
    domain::{
        failure::{Failure, FailureCode},
        job::Lane,
    },
    id::{JobId, SpaceId},
    lifecycle::Lifecycle,
    queue::Delivery,
    store::{
        self,
        job::Claim,
        job_space::{self, Missing},
    },
    telemetry::{metrics::metrics, propagation},
};
use tracing::Instrument;

use super::{
    Heartbeats, JobError, Registry, ServedSpaces, backoff,
    registry::{DecodeError, ErasedHandler},
};
use crate::context::Context;

/// How long JetStream waits before it offers a job again that could not be claimed.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(2);
/// How long a job waits that only a newer worker understands.
const UNKNOWN_KIND_DELAY: Duration = Duration::from_secs(30);
/// How long a job waits whose spaces no worker serves, before any worker tries again.
const UNSERVED_DELAY: Duration = Duration::from_secs(30);
/// How long a job goes on after its lease is lost. The job's row also disappears when its last transaction commits, which the
/// heartbeat may notice first.
const COMMIT_GRACE: Duration = Duration::from_secs(1);
/// Longest wait for the database when a job is handed back at the hard stop.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs one attempt for each delivery.
pub struct JobRunner {
    cx: Context,
    heartbeats: Heartbeats,
    served_spaces: ServedSpaces,
    registry: Registry,
}

/// How an attempt ended. [`name`](Self::name) is the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptOutcome {
    Done,
    LeaseLost,
    Snoozed,
    OtherWorker,
    Retried,
    Failed,
    Dead,
    HandedBack,
}

impl AttemptOutcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::LeaseLost => "lease_lost",
            Self::Snoozed => "snoozed",
            Self::OtherWorker => "other_worker",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::HandedBack => "handed_back",
        }
    }

    /// This outcome, if the lease was held when it was stored.
    const fn if_held(self, held: bool) -> Self {
        if held { self } else { Self::LeaseLost }
    }
}

impl JobRunner {
    /// A runner with these handlers.
    #[must_use]
    pub fn new(cx: Context, heartbeats: Heartbeats, served_spaces: ServedSpaces, registry: Registry) -> Self {
        Self { cx, heartbeats, served_spaces, registry }
    }

    /// Whether jobs wait, or may soon, that this worker can do and another one cannot.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.served_spaces.taken().is_empty()
    }

    /// Claims such a job of the lane; `None`: there is none.
    pub(super) async fn take(&self, lane: Lane) -> Option<Claim> {
        let spaces = self.served_spaces.taken();
        if spaces.is_empty() {
            return None;
        }
        let per_workspace = self.cx.config.queue.workspace_jobs;
        let taken = job_space::take(&self.cx.db, lane, &spaces, self.heartbeats.holder(), per_workspace).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, lane = lane.name(), "no job can be taken, retrying");
            None
        })
    }

    /// Makes one attempt at a job that [`JobRunner::take`] has claimed.
    pub(super) async fn run_taken(&self, claim: Claim, lifecycle: &Lifecycle) {
        let span = job_span(&claim, claim.traceparent.as_deref());
        self.attempt(&claim, None, lifecycle).instrument(span).await;
    }

    /// Claims the delivered job, makes one attempt and records its outcome.
    pub async fn run(&self, delivery: Delivery, lifecycle: &Lifecycle) {
        let Some(id) = delivery.job() else {
            tracing::warn!("a message in the jobs stream names no job");
            return delivery.ack().await;
        };
        match store::job::claim(&self.cx.db, id, self.heartbeats.holder(), self.cx.lease()).await {
            Ok(Some(claim)) => {
                let span = job_span(&claim, delivery.traceparent());
                self.attempt(&claim, Some(&delivery), lifecycle).instrument(span).await;
            }
            // The job is done, waits for later, or runs elsewhere; the reconciler watches over those.
            Ok(None) => delivery.ack().await,
            Err(error) => {
                warn(id, "a job cannot be claimed", &error);
                delivery.release(CLAIM_RETRY_DELAY).await;
            }
        }
    }

    /// `delivery`: the message that offered the job; `None`: the worker took the job from its row.
    async fn attempt(&self, claim: &Claim, delivery: Option<&Delivery>, lifecycle: &Lifecycle) {
        let began = std::time::Instant::now();
        let held = self.heartbeats.hold(claim);
        let kind = self.registry.label(&claim.kind);
        metrics().job_waited(kind, Duration::try_from_secs_f64(claim.waited_seconds).unwrap_or_default());
        let _in_flight = metrics().job_in_flight(claim.lane.name());
        let mut work = Box::pin(self.work(claim));
        let outcome = tokio::select! {
            outcome = &mut work => outcome,
            never = keep_alive(delivery, self.cx.lease()) => match never {},
            () = held.lease_lost.cancelled() => {
                tokio::time::timeout(COMMIT_GRACE, work).await.unwrap_or(Ok(AttemptOutcome::LeaseLost))
            }
            () = lifecycle.hard().cancelled() => {
                // Its transaction locks the job.
                drop(work);
                self.hand_back(claim).await
            }
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // The database is unavailable: the lease expires and the reconciler makes the job wait again.
            Err(error) => {
                warn(claim.id, "the outcome of a job cannot be stored", &error);
                AttemptOutcome::LeaseLost
            }
        };
        if let Some(delivery) = delivery {
            delivery.ack().await;
        }
        metrics().job_ended(kind, outcome.name(), began.elapsed());
    }

    async fn work(&self, claim: &Claim) -> Result<AttemptOutcome, JobError> {
        let handler = match self.registry.decode(claim) {
            Ok(handler) => handler,
            Err(error @ DecodeError::UnknownKind { .. }) => {
                warn(claim.id, "a job waits for a newer worker", &error);
                return self.snooze(claim, UNKNOWN_KIND_DELAY, &error).await;
            }
            Err(error @ DecodeError::InvalidPayload { .. }) => {
                return self.dead_letter(claim, "undecodable", &error, None).await;
            }
        };
        let limit = handler.attempts(&self.cx);
        // The last allowed attempt took its worker down, so its outcome was never stored.
        if claim.attempts > limit {
            let error = JobError::retry("the worker died at every attempt")("no attempt returned");
            return self.dead_letter(claim, "attempts_exhausted", &error, Some(&*handler)).await;
        }
        // A panic ends the attempt but not the slot: the slot goes on with the next job.
        let run = AssertUnwindSafe(handler.run(&self.cx, claim)).catch_unwind().await;
        match run.unwrap_or_else(|_| Err(JobError::retry("the handler panicked")("see the log"))) {
            Ok(()) => Ok(AttemptOutcome::Done),
            Err(JobError::LeaseLost) => Ok(AttemptOutcome::LeaseLost),
            Err(JobError::Obsolete) => {
                let held = store::job::complete(&self.cx.db, claim).await?;
                Ok(AttemptOutcome::Done.if_held(held))
            }
            Err(error @ JobError::Snooze { delay, .. }) => {
                // Without a cause the wait is in the normal course of events.
                if error.source().is_some() {
                    warn(claim.id, "a job waits for a dependency", &error);
                }
                self.snooze(claim, delay, &error).await
            }
            Err(JobError::Blocked { reason, delay }) => {
                tracing::warn!(job.id = %claim.id, reason, "a job waits, and its members see why");
                let held = store::job::snooze_because(&self.cx.db, claim, delay, &reason).await?;
                Ok(AttemptOutcome::Snoozed.if_held(held))
            }
            Err(JobError::OtherSpace(space)) => self.leave(claim, space).await,
            Err(JobError::Fail(failure)) => self.fail(claim, &*handler, &failure).await,
            Err(error @ JobError::Retry { .. }) => self.retry(claim, &*handler, &error, limit).await,
        }
    }

    /// Lets the job wait for its next attempt, of which the queue allows `limit`, and the node that failed maybe fewer.
    async fn retry(
        &self,
        claim: &Claim,
        handler: &dyn ErasedHandler,
        error: &JobError,
        limit: i32,
    ) -> Result<AttemptOutcome, JobError> {
        let retry = error.retry_policy();
        // Beyond the limit of the queue the next claim would see a worker that died, and hide the cause.
        let own = retry.map_or(limit, |retry| i32::try_from(retry.attempts).unwrap_or(i32::MAX));
        if claim.attempts >= own.min(limit) {
            return self.dead_letter(claim, "attempts_exhausted", error, Some(handler)).await;
        }
        warn(claim.id, "an attempt failed, the job is retried", error);
        let first = retry.map_or_else(
            || Duration::from_millis(self.cx.config.queue.backoff_millis),
            |retry| Duration::from_secs(retry.backoff_seconds.into()),
        );
        let delay = backoff(first, claim.attempts, claim.id.0.as_u128());
        let error = nvisy_shared::error_chain(error);
        let held = store::job::retry_after(&self.cx.db, claim, delay, &error).await?;
        Ok(AttemptOutcome::Retried.if_held(held))
    }

    /// Lets the job wait without counting the attempt.
    async fn snooze(
        &self,
        claim: &Claim,
        delay: Duration,
        error: &(dyn Error + Send + Sync + 'static),
    ) -> Result<AttemptOutcome, JobError> {
        let error = nvisy_shared::error_chain(error);
        let held = store::job::snooze(&self.cx.db, claim, delay, &error).await?;
        Ok(AttemptOutcome::Snoozed.if_held(held))
    }

    /// Leaves the job to workers that serve a space.
    async fn leave(&self, claim: &Claim, space: SpaceId) -> Result<AttemptOutcome, JobError> {
        let error = JobError::OtherSpace(space).to_string();
        tracing::info!(job.id = %claim.id, space.id = %space, "a job is left to workers with another model");
        let model = store::space::of_models(&self.cx.db, vec![space]).await?.pop();
        let reason = match model {
            Some((_, space)) => format!("it waits for a worker with the embedding model `{}`", space.spec.model),
            None => "it waits for a worker with another embedding model".to_owned(),
        };
        let missing = Missing { space, error: &error, reason: &reason, delay: UNSERVED_DELAY };
        let held = job_space::leave(&self.cx.db, claim, missing, self.cx.lease()).await?;
        Ok(AttemptOutcome::OtherWorker.if_held(held))
    }

    /// Completes the job with a failure that the user can remedy, so that no operator is needed.
    async fn fail(
        &self,
        claim: &Claim,
        handler: &dyn ErasedHandler,
        failure: &Failure,
    ) -> Result<AttemptOutcome, JobError> {
        super::complete_in_tx(&self.cx, claim, || async |change| handler.give_up(change, claim, failure).await).await?;
        tracing::info!(failure.code = ?failure.code, "a job failed: {}", failure.detail);
        Ok(AttemptOutcome::Failed)
    }

    /// Moves the job to the dead jobs, where an operator can inspect it, and fails its subject with a reason.
    async fn dead_letter(
        &self,
        claim: &Claim,
        reason: &'static str,
        error: &(dyn Error + Send + Sync + 'static),
        handler: Option<&dyn ErasedHandler>,
    ) -> Result<AttemptOutcome, JobError> {
        let at = error.downcast_ref::<JobError>().and_then(JobError::node);
        let written = super::write_in_tx(&self.cx, claim, || {
            async |change| {
                if let Some(handler) = handler {
                    let node = at.map(str::to_owned);
                    let cause = error.downcast_ref::<JobError>().and_then(JobError::public_cause);
                    let detail = match cause {
                        Some(cause) => format!("processing failed {} times: {cause}", claim.attempts),
                        None => {
                            format!(
                                "processing failed {} times; the dead job {} has the cause",
                                claim.attempts, claim.id
                            )
                        }
                    };
                    let failure = Failure { node, ..Failure::new(FailureCode::AttemptsExhausted, detail) };
                    handler.give_up(change, claim, &failure).await?;
                }
                store::job::dead_letter(change, claim, reason, &nvisy_shared::error_chain(error)).await?;
                Ok(())
            }
        });
        match written.await {
            Err(JobError::LeaseLost) => return Ok(AttemptOutcome::LeaseLost),
            written => written?,
        }
        tracing::error!(job.id = %claim.id, reason, error = error as &dyn Error, "a job is dead");
        metrics().job_dead(self.registry.label(&claim.kind), reason);
        Ok(AttemptOutcome::Dead)
    }

    /// Makes the job due again at once, without counting the attempt.
    async fn hand_back(&self, claim: &Claim) -> Result<AttemptOutcome, JobError> {
        let snoozed = store::job::snooze(&self.cx.db, claim, Duration::ZERO, "the worker stopped");
        match tokio::time::timeout(HAND_BACK_TIMEOUT, snoozed).await {
            Ok(done) => done.map(|_| AttemptOutcome::HandedBack).map_err(JobError::from),
            Err(elapsed) => Err(JobError::retry("the job cannot be handed back")(elapsed)),
        }
    }
}

/// Tells JetStream three times per lease that the job is in progress. Never returns.
async fn keep_alive(delivery: Option<&Delivery>, lease: Duration) -> std::convert::Infallible {
    let Some(delivery) = delivery else { return std::future::pending().await };
    loop {
        tokio::time::sleep(lease / 3).await;
        delivery.progress().await;
    }
}

/// The job's span. It continues the trace of the request that enqueued the job, so that one trace shows the whole of an
/// upload, and links to the producer's span.
fn job_span(claim: &Claim, traceparent: Option<&str>) -> tracing::Span {
    let span = tracing::info_span!(
        "job",
        otel.name = %claim.kind,
        otel.kind = "consumer",
        job.id = %claim.id,
        job.kind = %claim.kind,
        job.attempt = claim.attempts,
        workspace.id = %claim.workspace_id,
    );
    if let Some(traceparent) = traceparent {
        propagation::continue_from(&span, traceparent);
    }
    span
}

fn warn(job: JobId, what: &str, error: &(dyn Error + 'static)) {
    tracing::warn!(job.id = %job, error, "{what}");
}
