//! The relay: hands due jobs and new events from PostgreSQL to JetStream.
//!
//! Any number of relays run at once: each locks the rows it is handing over. Rows are marked in the
//! transaction that holds the lock, after JetStream has acknowledged them; a crash in between hands
//! them over twice, and both sides know to ignore the second.

use std::time::Duration;

use async_nats::jetstream::{context::PublishAckFuture, message::PublishMessage};
use sea_orm::sqlx::postgres::PgListener;

use super::{Names, Queue, doing, outbox};
use crate::{
    lifecycle::Lifecycle,
    store::{self, Db, TransactionTrait},
};

/// Rows handed over in one transaction.
const BATCH: i64 = 256;
/// Wait after a failure, so that a service that is down is not hammered.
const PAUSE: Duration = Duration::from_secs(1);

/// Header with the producer's trace.
pub(super) const TRACEPARENT: &str = "traceparent";

/// Settings of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// Most jobs of a workspace and lane in flight.
    pub per_workspace: i64,
    /// How often to look without being told.
    pub poll: Duration,
}

/// Why a hand-over failed; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be read")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Queue(#[from] super::QueueError),
}

impl Relay {
    /// Relays until the soft stop.
    pub async fn run(self, db: Db, queue: Queue, lifecycle: Lifecycle) {
        let mut listener = None;
        while !lifecycle.soft().is_cancelled() {
            match self.drain(&db, &queue).await {
                Ok(()) => {
                    tokio::select! {
                        () = lifecycle.soft().cancelled() => {}
                        () = wake(&db, &mut listener, self.poll) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "handing over the outbox failed, trying again"
                    );
                    // A server that lost its disk comes back without our streams.
                    if matches!(error, RelayError::Queue(_)) {
                        let _ = queue.declare().await;
                    }
                    tokio::select! {
                        () = lifecycle.soft().cancelled() => {}
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Hands over all that is due now.
    async fn drain(&self, db: &Db, queue: &Queue) -> Result<(), RelayError> {
        while self.jobs(db, queue).await? == BATCH as usize {}
        while events(db, queue).await? == BATCH as usize {}
        Ok(())
    }

    async fn jobs(&self, db: &Db, queue: &Queue) -> Result<usize, RelayError> {
        let tx = db.begin().await?;
        let due = store::job::lock_due(&tx, BATCH, self.per_workspace).await?;
        let mut sent = Vec::with_capacity(due.len());
        for job in &due {
            let mut message = PublishMessage::build()
                .payload(job.id.0.as_bytes().to_vec().into())
                .message_id(Names::message_id(job.id, job.epoch));
            if let Some(traceparent) = &job.traceparent {
                message = message.header(TRACEPARENT, traceparent.as_str());
            }
            let subject = queue.names.job_subject(job.lane, job.workspace_id);
            sent.push((job.id, send(queue, subject, message).await?));
        }
        let mut taken = Vec::with_capacity(sent.len());
        for (id, ack) in sent {
            taken.push((id, ack.await.map_err(doing("JetStream did not take a job"))?.sequence));
        }
        if !taken.is_empty() {
            store::job::mark_queued(&tx, &taken).await?;
        }
        tx.commit().await?;
        Ok(taken.len())
    }
}

async fn events(db: &Db, queue: &Queue) -> Result<usize, RelayError> {
    let tx = db.begin().await?;
    let events = store::event::lock_unpublished(&tx, BATCH).await?;
    let mut acks = Vec::with_capacity(events.len());
    for event in &events {
        let body = serde_json::to_vec(event).map_err(|error| store::Error::Json(error.to_string()))?;
        let message = PublishMessage::build().payload(body.into()).message_id(event.id.to_string());
        acks.push(send(queue, queue.names.event_subject(event.workspace_id), message).await?);
    }
    for ack in acks {
        ack.await.map_err(doing("JetStream did not take an event"))?;
    }
    if !events.is_empty() {
        store::event::mark_published(&tx, &events).await?;
    }
    tx.commit().await?;
    Ok(events.len())
}

async fn send(queue: &Queue, subject: String, message: PublishMessage) -> Result<PublishAckFuture, super::QueueError> {
    queue.jetstream.send_publish(subject, message).await.map_err(doing("NATS cannot be written to"))
}

/// Waits for a notification, but no longer than `poll`. A lost listener only means waiting for the poll.
async fn wake(db: &Db, listener: &mut Option<PgListener>, poll: Duration) {
    if listener.is_none() {
        *listener = listen(db).await.ok();
    }
    let Some(listening) = listener else {
        tokio::time::sleep(poll).await;
        return;
    };
    match tokio::time::timeout(poll, listening.recv()).await {
        // Notifications that came together are one reason to look.
        Ok(Ok(_)) => while let Ok(Some(_)) = listening.next_buffered().map_or(Ok::<_, ()>(None), |n| Ok(Some(n))) {},
        Ok(Err(_)) => *listener = None,
        Err(_) => {}
    }
}

async fn listen(db: &Db) -> Result<PgListener, sea_orm::sqlx::Error> {
    let mut listener = PgListener::connect_with(db.get_postgres_connection_pool()).await?;
    listener.listen(outbox::CHANNEL).await?;
    Ok(listener)
}
