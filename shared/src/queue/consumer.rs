//! Pulling jobs of one lane, one at a time.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use futures::StreamExt;

use super::{QueueError, doing, relay::TRACEPARENT};
use crate::{domain::job::Lane, id::JobId};

/// How long one request for work stays open at the server.
const PULL: Duration = Duration::from_secs(20);

/// The jobs of a lane.
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

    /// Waits for the next job; `None` when there was none for a while. One message is asked for at a
    /// time, by whoever can start it at once: a message fetched ahead is one that no other replica gets.
    ///
    /// # Errors
    /// When NATS is away or the consumer is gone.
    pub async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        let failed = "jobs cannot be pulled";
        let mut batch = self.consumer.batch().max_messages(1).expires(PULL).messages().await.map_err(doing(failed))?;
        match batch.next().await {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Delivery { message })),
            Some(Err(error)) => Err(QueueError::new(failed)(error)),
        }
    }
}

/// A job that JetStream offers to this worker. Acknowledging it says that it need not be offered
/// again; it does not say who owns the job: the claim in PostgreSQL does.
#[derive(Debug)]
pub struct Delivery {
    message: jetstream::Message,
}

impl Delivery {
    /// The job; `None` when the message is not one of ours.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        uuid::Uuid::from_slice(&self.message.payload).ok().map(JobId)
    }

    /// The trace of whoever asked for the job.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        Some(self.message.headers.as_ref()?.get(TRACEPARENT)?.as_str())
    }

    /// Need not be offered again. Losing this message is harmless: the job is offered again and found done.
    pub async fn ack(&self) {
        self.settle(AckKind::Ack).await;
    }

    /// Still at it: do not offer it to others yet.
    pub async fn progress(&self) {
        self.settle(AckKind::Progress).await;
    }

    /// Offer it again after a while: it could not even be looked at.
    pub async fn release(&self, delay: Duration) {
        self.settle(AckKind::Nak(Some(delay))).await;
    }

    async fn settle(&self, kind: AckKind) {
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::debug!(error = &*error as &dyn std::error::Error, "NATS did not hear about a job");
        }
    }
}
