//! Pulling the jobs of one lane, one at a time.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use futures::StreamExt;

use super::{QueueContext, QueueError};
use crate::{domain::job::Lane, id::JobId, telemetry::propagation::TRACEPARENT};

/// How long one pull request stays open at the server, where nothing else is to be done meanwhile.
pub const PULL_TIMEOUT: Duration = Duration::from_secs(20);

/// The JetStream consumer of a lane.
#[derive(Clone, Debug)]
pub struct LaneConsumer {
    consumer: PullConsumer,
    lane: Lane,
}

impl LaneConsumer {
    pub(super) fn new(consumer: PullConsumer, lane: Lane) -> Self {
        Self { consumer, lane }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Waits for the next job; `None` when there was none until the timeout. A slot requests one message, when it can start the job
    /// at once: no other replica could get a message that was fetched ahead.
    ///
    /// # Errors
    /// When NATS is unavailable or the consumer no longer exists.
    pub async fn next(&self, timeout: Duration) -> Result<Option<Delivery>, QueueError> {
        const FAILED: &str = "jobs cannot be pulled";
        let mut batch = self.consumer.batch().max_messages(1).expires(timeout).messages().await.context(FAILED)?;
        match batch.next().await {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Delivery { message })),
            Some(Err(error)) => Err(error).context(FAILED),
        }
    }
}

/// A job that JetStream offers to this worker. An acknowledgement ends the offer; the owner of the job is decided by the claim
/// in PostgreSQL.
#[derive(Debug)]
pub struct Delivery {
    message: jetstream::Message,
}

impl Delivery {
    /// The job; `None` when the message contains no job id.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        uuid::Uuid::from_slice(&self.message.payload).ok().map(JobId)
    }

    /// The trace of the request that enqueued the job.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        Some(self.message.headers.as_ref()?.get(TRACEPARENT)?.as_str())
    }

    /// Ends the offer. Losing this acknowledgement is harmless: the job is offered again and found done.
    pub async fn ack(&self) {
        self.ack_with(AckKind::Ack).await;
    }

    /// Prolongs the offer: the job is in progress.
    pub async fn progress(&self) {
        self.ack_with(AckKind::Progress).await;
    }

    /// Requests a new offer after `delay`, because the job could not be claimed.
    pub async fn release(&self, delay: Duration) {
        self.ack_with(AckKind::Nak(Some(delay))).await;
    }

    async fn ack_with(&self, kind: AckKind) {
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::debug!(error = &*error as &dyn std::error::Error, "a delivery could not be acknowledged");
        }
    }
}
