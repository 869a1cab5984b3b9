//! One attempt at one job: claim, decode, run, and make sure that something becomes of it.

use std::{error::Error, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use nvisy_shared::{
    domain::{
        failure::{Failure, FailureCode},
        job::Lane,
    },
    id::JobId,
    lifecycle::Lifecycle,
    queue::Delivery,
    store::{self, TransactionTrait, job::Claim},
    telemetry::{metrics::metrics, propagation},
};
use tracing::Instrument;

use super::{
    Heartbeats, JobError, Registry, backoff,
    registry::{Task, Undecoded},
};
use crate::context::Context;

/// When to offer a job again that could not even be claimed.
const UNCLAIMED: Duration = Duration::from_secs(2);
/// When to look again at a job that only a newer worker understands.
const UNKNOWN: Duration = Duration::from_secs(30);
/// Longest wait for the database when giving a job back at the hard stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Makes attempts.
pub struct Attempts {
    cx: Context,
    heartbeats: Heartbeats,
    registry: Registry,
}

/// How an attempt ended; also the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done,
    Lost,
    Busy,
    Retried,
    Failed,
    Dead,
    HandedBack,
}

impl Ending {
    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Lost => "lost",
            Self::Busy => "busy",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::HandedBack => "handed_back",
        }
    }
}

impl Attempts {
    /// Attempts with these handlers.
    #[must_use]
    pub fn new(cx: Context, heartbeats: Heartbeats, registry: Registry) -> Self {
        Self { cx, heartbeats, registry }
    }

    /// Sees a delivery through.
    pub async fn run(&self, delivery: Delivery, lifecycle: &Lifecycle) {
        let Some(id) = delivery.job() else {
            tracing::warn!("a message in the stream of jobs names no job");
            return delivery.ack().await;
        };
        match store::job::claim(&self.cx.db, id, self.heartbeats.holder(), self.cx.lease()).await {
            Ok(Some(claim)) => {
                let span = job_span(&claim, delivery.traceparent());
                self.attempt(&claim, &delivery, lifecycle).instrument(span).await;
            }
            // Done, waiting for another time, or alive in other hands; the reconciler watches over those.
            Ok(None) => delivery.ack().await,
            Err(error) => {
                warn(id, "a job cannot be claimed", &error);
                delivery.release(UNCLAIMED).await;
            }
        }
    }

    async fn attempt(&self, claim: &Claim, delivery: &Delivery, lifecycle: &Lifecycle) {
        let began = std::time::Instant::now();
        let held = self.heartbeats.hold(claim);
        let kind = self.registry.label(&claim.kind);
        metrics().job_waited(kind, Duration::try_from_secs_f64(claim.waited_seconds).unwrap_or_default());
        let _in_flight = metrics().job_in_flight(claim.lane.name());
        let ending = tokio::select! {
            ending = self.work(claim) => ending,
            never = keep_alive(delivery, self.cx.lease()) => match never {},
            () = held.lease_lost.cancelled() => Ok(Ending::Lost),
            () = lifecycle.hard().cancelled() => self.hand_back(claim).await,
        };
        let ending = match ending {
            Ok(ending) => ending,
            // The database is away: the lease runs out and the reconciler lets the job wait again.
            Err(error) => {
                warn(claim.id, "a job cannot be settled", &error);
                Ending::Lost
            }
        };
        delivery.ack().await;
        metrics().job_ended(kind, ending.name(), began.elapsed());
    }

    async fn work(&self, claim: &Claim) -> Result<Ending, JobError> {
        let task = match self.registry.decode(claim) {
            Ok(task) => task,
            Err(error @ Undecoded::Unknown { .. }) => {
                warn(claim.id, "a job waits for a newer worker", &error);
                return self.postpone(claim, UNKNOWN, &error.to_string(), true, Ending::Busy).await;
            }
            Err(error @ Undecoded::Unreadable { .. }) => return self.bury(claim, "undecodable", &error, None).await,
        };
        let limit = self.cx.config.queue.attempts;
        // The attempt before this one took the worker down with it, and it was the last.
        if claim.attempts > limit {
            let error = JobError::retry("the worker died at every attempt")("no attempt came back");
            return self.bury(claim, "attempts_exhausted", &error, Some(&*task)).await;
        }
        // A panic is this job's, not its slot's: the next job must find the slot alive.
        let run = AssertUnwindSafe(task.run(&self.cx, claim)).catch_unwind().await;
        match run.unwrap_or_else(|_| Err(JobError::retry("the handler panicked")("see the log"))) {
            Ok(()) => Ok(Ending::Done),
            Err(JobError::Lost) => Ok(Ending::Lost),
            Err(JobError::Gone) => {
                let ours = store::job::complete(&self.cx.db, claim).await?;
                Ok(if ours { Ending::Done } else { Ending::Lost })
            }
            Err(JobError::Busy(delay)) => self.postpone(claim, delay, "the provider is busy", true, Ending::Busy).await,
            Err(error @ JobError::Away { delay, .. }) => {
                warn(claim.id, "a job waits for what it needs", &error);
                self.postpone(claim, delay, &nvisy_shared::error_chain(&error), true, Ending::Busy).await
            }
            Err(JobError::Fail(failure)) => self.fail(claim, &*task, &failure).await,
            Err(error @ JobError::Retry { .. }) if claim.attempts >= limit => {
                self.bury(claim, "attempts_exhausted", &error, Some(&*task)).await
            }
            Err(error @ JobError::Retry { .. }) => {
                warn(claim.id, "an attempt failed, the job will be tried again", &error);
                let first = Duration::from_millis(self.cx.config.queue.backoff_millis);
                let delay = backoff(first, claim.attempts, claim.id.0.as_u128());
                self.postpone(claim, delay, &nvisy_shared::error_chain(&error), false, Ending::Retried).await
            }
        }
    }

    async fn postpone(
        &self,
        claim: &Claim,
        delay: Duration,
        error: &str,
        free: bool,
        ending: Ending,
    ) -> Result<Ending, JobError> {
        let ours = if free {
            store::job::snooze(&self.cx.db, claim, delay, error).await?
        } else {
            store::job::retry_after(&self.cx.db, claim, delay, error).await?
        };
        Ok(if ours { ending } else { Ending::Lost })
    }

    /// The content is at fault: an answer for the user, not a matter for the operator.
    async fn fail(&self, claim: &Claim, task: &dyn Task, failure: &Failure) -> Result<Ending, JobError> {
        super::settle(&self.cx.db, claim, async |tx| task.give_up(tx, claim, failure).await).await?;
        count_failed(claim, failure.code);
        tracing::info!(failure.code = ?failure.code, "a file failed: {}", failure.detail);
        Ok(Ending::Failed)
    }

    /// Somebody has to look at it: the job goes among the dead, and what it worked on fails with a reason.
    async fn bury(
        &self,
        claim: &Claim,
        reason: &'static str,
        error: &(dyn Error + Send + Sync + 'static),
        task: Option<&dyn Task>,
    ) -> Result<Ending, JobError> {
        let tx = self.cx.db.begin().await?;
        if !store::job::assert_lease(&tx, claim).await? {
            return Ok(Ending::Lost);
        }
        if let Some(task) = task {
            let detail = format!("processing failed {} times; the dead job {} has the cause", claim.attempts, claim.id);
            task.give_up(&tx, claim, &Failure::new(FailureCode::AttemptsExhausted, detail)).await?;
        }
        store::job::dead_letter(&tx, claim, reason, &nvisy_shared::error_chain(error)).await?;
        tx.commit().await?;
        tracing::error!(job.id = %claim.id, reason, error = error as &dyn Error, "a job is dead");
        metrics().job_dead(self.registry.label(&claim.kind), reason);
        if task.is_some() {
            count_failed(claim, FailureCode::AttemptsExhausted);
        }
        Ok(Ending::Dead)
    }

    async fn hand_back(&self, claim: &Claim) -> Result<Ending, JobError> {
        let back = store::job::snooze(&self.cx.db, claim, Duration::ZERO, "the worker stopped");
        match tokio::time::timeout(LAST_WORDS, back).await {
            Ok(done) => done.map(|_| Ending::HandedBack).map_err(JobError::from),
            Err(late) => Err(JobError::retry("the job cannot be given back")(late)),
        }
    }
}

/// A job that fails takes a file with it, unless it is about mail.
fn count_failed(claim: &Claim, code: FailureCode) {
    if claim.lane != Lane::Mail {
        metrics().file_failed(code.as_str());
    }
}

/// Tells JetStream, three times a lease, that the job is being worked on. Never returns.
async fn keep_alive(delivery: &Delivery, lease: Duration) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(lease / 3).await;
        delivery.progress().await;
    }
}

/// The job's span continues the trace of the request that asked for it, so that one trace tells the
/// whole story of an upload, and links to the producer's span.
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
