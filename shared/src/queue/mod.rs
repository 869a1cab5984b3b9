//! NATS JetStream: dispatch of jobs, and the event log.
//!
//! PostgreSQL holds the truth about every job; JetStream only says which worker should look at
//! which job next. Losing all of it loses no work.

mod address;
mod consumer;
pub mod feed;
mod ground;
mod inspect;
mod names;
pub mod outbox;
pub mod reconciler;
pub mod relay;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
    stream,
};
use sea_orm::Iterable;

pub use consumer::{Delivery, LaneConsumer};
pub(crate) use inspect::inspect;
pub use names::Names;

use crate::{config, domain::job::Lane};

/// How long JetStream recognises a message that was published twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long the event log reaches back; older events are read from PostgreSQL.
const EVENT_AGE: Duration = Duration::from_secs(24 * 3600);

/// A connection to NATS with its streams and consumers in place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    names: Arc<Names>,
    replicas: usize,
    lease: Duration,
}

/// What NATS answered, in one sentence, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct QueueError {
    what: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl QueueError {
    fn new(what: &'static str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> Self {
        move |source| Self { what: what.into(), source: Some(source) }
    }

    /// Nothing failed but our own check.
    fn plain(what: String) -> Self {
        Self { what: what.into(), source: None }
    }

    fn because(what: String, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { what: what.into(), source: Some(Box::new(source)) }
    }
}

/// Maps any error to a [`QueueError`] that says what was being done.
fn doing<E>(what: &'static str) -> impl Fn(E) -> QueueError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| QueueError::new(what)(Box::new(source))
}

impl Queue {
    /// Connects and makes sure that streams and consumers exist with today's settings.
    ///
    /// # Errors
    /// When NATS does not answer within five seconds or is too old, or JetStream is off, too small, or refuses a stream.
    pub async fn connect(nats: &config::Nats, queue: &config::Queue) -> Result<Self, QueueError> {
        let client = ground::connect(nats).await?;
        ground::server(&client)?;
        let this = Self {
            jetstream: jetstream::new(client.clone()),
            client,
            names: Arc::new(Names::new(&nats.prefix)),
            replicas: nats.replicas,
            lease: Duration::from_secs(queue.lease_seconds),
        };
        ground::account(&this.jetstream).await?;
        this.declare().await?;
        // Only now: it makes a stream and deletes it again, and the server tidies up after the last stream of an account,
        // at which moment it can fail to make another.
        ground::least_room(&this.jetstream, &this.names).await?;
        Ok(this)
    }

    /// Creates what is missing and brings what exists up to today's settings: declaring a stream or
    /// consumer again with other settings would leave the old ones in force.
    ///
    /// # Errors
    /// When JetStream is off or refuses.
    pub async fn declare(&self) -> Result<(), QueueError> {
        let jobs = stream::Config {
            name: self.names.jobs_stream(),
            subjects: vec![self.names.jobs_subjects()],
            retention: stream::RetentionPolicy::WorkQueue,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: self.replicas,
            ..Default::default()
        };
        let events = stream::Config {
            name: self.names.events_stream(),
            subjects: vec![self.names.events_subjects()],
            max_age: EVENT_AGE,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: self.replicas,
            ..Default::default()
        };
        for config in [jobs, events] {
            let name = config.name.clone();
            self.jetstream.create_or_update_stream(config).await.map_err(ground::refused(&name))?;
        }
        for lane in Lane::iter() {
            self.consumer(lane).await?;
        }
        Ok(())
    }

    async fn consumer(&self, lane: Lane) -> Result<jetstream::consumer::PullConsumer, QueueError> {
        let stream = self
            .jetstream
            .get_stream_no_info(self.names.jobs_stream())
            .await
            .map_err(doing("the stream of jobs cannot be opened"))?;
        stream
            .create_consumer(pull::Config {
                durable_name: Some(lane.name().to_owned()),
                filter_subject: self.names.lane_subjects(lane),
                ack_policy: AckPolicy::Explicit,
                ack_wait: self.lease,
                // Attempts are counted in PostgreSQL; a limit here would strand the message.
                max_deliver: -1,
                max_ack_pending: 10_000,
                ..Default::default()
            })
            .await
            .map_err(doing("JetStream refuses a consumer"))
    }

    /// The consumer of a lane.
    ///
    /// # Errors
    /// When JetStream refuses it.
    pub async fn lane(&self, lane: Lane) -> Result<LaneConsumer, QueueError> {
        Ok(LaneConsumer::new(self.consumer(lane).await?, lane))
    }

    /// Whether NATS answers.
    ///
    /// # Errors
    /// When it does not, within two seconds.
    pub async fn ping(&self) -> Result<(), QueueError> {
        let account = self.jetstream.query_account();
        match tokio::time::timeout(Duration::from_secs(2), account).await {
            Ok(answer) => answer.map(drop).map_err(doing("JetStream does not answer")),
            Err(late) => Err(doing("JetStream does not answer")(late)),
        }
    }

    /// JetStream itself, for the object store.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Names of streams, subjects and buckets.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Removes everything this prefix has on the server: for tests.
    ///
    /// # Errors
    /// When NATS does not answer.
    #[cfg(feature = "testing")]
    pub async fn destroy(&self) -> Result<(), QueueError> {
        for stream in [self.names.jobs_stream(), self.names.events_stream()] {
            self.jetstream.delete_stream(stream).await.map_err(doing("a stream cannot be deleted"))?;
        }
        // Made by who opens it, which a test need not have done.
        if self.jetstream.get_object_store(self.names.files_bucket()).await.is_ok() {
            let deleted = self.jetstream.delete_object_store(self.names.files_bucket()).await;
            deleted.map_err(doing("the bucket cannot be deleted"))?;
        }
        Ok(())
    }
}
