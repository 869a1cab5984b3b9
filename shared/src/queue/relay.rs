//! The relay: publishes due jobs and new events from PostgreSQL to JetStream. `store::job::lock_due` decides the order of
//! jobs and how many of a tenant are in flight.
//!
//! Any number of relays run at once. One at a time publishes jobs, because their order and number are decided for all tenants
//! together; the others ask again a little later. A relay locks the rows that it publishes, and marks them in the transaction that
//! holds the lock, after JetStream has acknowledged the messages. After a crash in between the rows are published twice, and both
//! JetStream and the consumers ignore the second message.

use std::time::{Duration, Instant};

use async_nats::jetstream::{context::PublishAckFuture, message::PublishMessage};
use sea_orm::sqlx::postgres::PgListener;

use super::{
    NatsNames, Queue, QueueContext, outbox,
    relay_pace::{Pace, Rows},
};
use crate::{
    lifecycle::Lifecycle,
    store::{self, Db, TransactionTrait},
    telemetry::propagation::TRACEPARENT,
};

/// Rows published in one transaction.
const BATCH_SIZE: i64 = 256;
/// One round in this many takes the oldest jobs first.
const OLDEST_EVERY: u32 = 4;
/// Wait after a failure, so that the relay does not flood a service that is down.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Settings of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// Most jobs of a workspace and lane in flight.
    pub per_workspace: i64,
    /// How often the relay reads the outbox when no notification comes.
    pub poll: Duration,
}

/// Why rows were not published; the next round retries.
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
        let (mut listener, mut rounds) = (None, 0);
        let mut pace = Pace::new(self.poll, Instant::now());
        while !lifecycle.soft().is_cancelled() {
            match self.drain(&db, &queue, pace.take(Instant::now()), &mut rounds).await {
                Ok(had_turn) => {
                    if !had_turn {
                        pace.leave_jobs(Instant::now());
                    }
                    tokio::select! {
                        () = lifecycle.soft().cancelled() => {}
                        () = wait_for_rows(&db, &mut listener, &mut pace) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the outbox cannot be published, retrying"
                    );
                    // A NATS server that lost its disk comes back without the streams.
                    if matches!(error, RelayError::Queue(_)) {
                        let _ = queue.declare().await;
                    }
                    pace.notify_all();
                    tokio::select! {
                        () = lifecycle.soft().cancelled() => {}
                        () = tokio::time::sleep(RETRY_DELAY) => {}
                    }
                }
            }
        }
    }

    /// Publishes those of these rows that are due now. `false`: another relay had the turn of publishing jobs.
    async fn drain(&self, db: &Db, queue: &Queue, rows: Rows, rounds: &mut u32) -> Result<bool, RelayError> {
        let mut published = Some(0);
        if rows.jobs {
            loop {
                published = self.publish_jobs(db, queue, rounds).await?;
                if published != Some(BATCH_SIZE as usize) {
                    break;
                }
            }
        }
        while rows.events && publish_events(db, queue).await? == BATCH_SIZE as usize {}
        Ok(published.is_some())
    }

    /// Publishes jobs; returns how many. `None`: another relay has the turn.
    async fn publish_jobs(&self, db: &Db, queue: &Queue, rounds: &mut u32) -> Result<Option<usize>, RelayError> {
        let tx = db.begin().await?;
        if !store::job::take_turn(&tx).await? {
            tx.commit().await?;
            return Ok(None);
        }
        *rounds = rounds.wrapping_add(1);
        // Every fourth time the oldest job of each tenant comes first, whatever its level, so that none waits forever.
        let oldest_first = rounds.is_multiple_of(OLDEST_EVERY);
        let due = store::job::lock_due(&tx, BATCH_SIZE, self.per_workspace, oldest_first).await?;
        let mut sent = Vec::with_capacity(due.len());
        for job in &due {
            let mut message = PublishMessage::build()
                .payload(job.id.0.as_bytes().to_vec().into())
                .message_id(NatsNames::message_id(job.id, job.epoch));
            if let Some(traceparent) = &job.traceparent {
                message = message.header(TRACEPARENT, traceparent.as_str());
            }
            let subject = queue.names.job_subject(job.lane, job.workspace_id);
            sent.push((job.id, send(queue, subject, message).await?));
        }
        let mut published = Vec::with_capacity(sent.len());
        for (id, ack) in sent {
            published.push((id, ack.await.context("JetStream did not acknowledge a job")?.sequence));
        }
        if !published.is_empty() {
            store::job::mark_queued(&tx, &published).await?;
        }
        tx.commit().await?;
        Ok(Some(published.len()))
    }
}

async fn publish_events(db: &Db, queue: &Queue) -> Result<usize, RelayError> {
    let tx = db.begin().await?;
    let events = store::event::lock_unpublished(&tx, BATCH_SIZE).await?;
    let mut acks = Vec::with_capacity(events.len());
    for event in &events {
        let body = serde_json::to_vec(event).map_err(|error| store::Error::Json(error.to_string()))?;
        let message = PublishMessage::build().payload(body.into()).message_id(event.id.to_string());
        acks.push(send(queue, queue.names.event_subject(event.workspace_id), message).await?);
    }
    for ack in acks {
        ack.await.context("JetStream did not acknowledge an event")?;
    }
    if !events.is_empty() {
        store::event::mark_published(&tx, &events).await?;
    }
    tx.commit().await?;
    Ok(events.len())
}

async fn send(queue: &Queue, subject: String, message: PublishMessage) -> Result<PublishAckFuture, super::QueueError> {
    queue.jetstream.send_publish(subject, message).await.context("NATS cannot be written to")
}

/// Waits for a notification, or for the next poll. Without a listener it waits for the poll.
async fn wait_for_rows(db: &Db, listener: &mut Option<PgListener>, pace: &mut Pace) {
    if listener.is_none() {
        *listener = listen(db).await.ok();
        if listener.is_some() {
            // Of rows that were added before, no notification comes.
            pace.notify_all();
        }
    }
    let wait = pace.wait(Instant::now());
    let Some(listening) = listener else {
        tokio::time::sleep(wait).await;
        return;
    };
    match tokio::time::timeout(wait, listening.recv()).await {
        Ok(Ok(notification)) => {
            pace.notify(notification.payload());
            // Notifications that arrived together need one read of the outbox.
            while let Some(notification) = listening.next_buffered() {
                pace.notify(notification.payload());
            }
        }
        Ok(Err(_)) => {
            *listener = None;
            pace.notify_all();
        }
        Err(_) => {}
    }
}

async fn listen(db: &Db) -> Result<PgListener, sea_orm::sqlx::Error> {
    let mut listener = db.listener().await?;
    listener.listen(outbox::NOTIFY_CHANNEL).await?;
    Ok(listener)
}
