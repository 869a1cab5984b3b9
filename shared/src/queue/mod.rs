//! NATS JetStream: dispatch of jobs, and the event log.
//!
//! PostgreSQL is the source of truth about every job; JetStream only dispatches job ids to workers. Losing all of JetStream
//! loses no work.

mod address;
mod consumer;
mod embed_query;
pub mod feed;
mod inspect;
mod names;
pub mod outbox;
mod preflight;
pub mod reconciler;
pub mod relay;
mod relay_pace;
mod request;
mod rerank_query;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
    stream,
};
use sea_orm::Iterable;

pub use consumer::{Delivery, LaneConsumer, PULL_TIMEOUT};
pub use embed_query::{EmbedQuery, EmbedReply};
pub(crate) use inspect::inspect;
pub use names::NatsNames;
pub use rerank_query::{RerankQuery, RerankReply};

use crate::{config, domain::job::Lane};

/// How long JetStream recognises a message that was published twice.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long the event stream keeps events; older ones are read from PostgreSQL.
const EVENT_STREAM_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// A connection to NATS with its streams and consumers in place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    names: Arc<NatsNames>,
    replicas: usize,
    lease: Duration,
}

/// A failure of NATS in one sentence, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct QueueError {
    what: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl QueueError {
    /// An error of a check, without a cause.
    fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), source: None }
    }

    fn caused_by(
        what: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

/// Turns any error into a [`QueueError`].
trait QueueContext<T> {
    /// Adds the sentence that says which operation failed.
    fn context(self, what: &'static str) -> Result<T, QueueError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> QueueContext<T> for Result<T, E> {
    fn context(self, what: &'static str) -> Result<T, QueueError> {
        self.map_err(|source| QueueError::caused_by(what, source))
    }
}

impl Queue {
    /// Connects, and creates or updates streams and consumers according to the settings.
    ///
    /// # Errors
    /// When NATS does not respond within five seconds or is too old, or JetStream is off, too small, or rejects a stream.
    pub async fn connect(nats: &config::NatsConfig, queue: &config::QueueConfig) -> Result<Self, QueueError> {
        let client = preflight::connect(nats).await?;
        preflight::server_version(&client)?;
        let this = Self {
            jetstream: jetstream::new(client.clone()),
            client,
            names: Arc::new(NatsNames::new(&nats.prefix)),
            replicas: nats.replicas,
            lease: Duration::from_secs(queue.lease_seconds),
        };
        preflight::jetstream_account(&this.jetstream).await?;
        this.declare().await?;
        // Only after the streams exist: this check creates a stream and deletes it, and while the server cleans up after the
        // last stream of an account it can fail to create another.
        preflight::check_min_free_space(&this.jetstream, &this.names).await?;
        Ok(this)
    }

    /// Creates missing streams and consumers, and updates existing ones to the settings: creating them again would leave the old
    /// settings in force.
    ///
    /// # Errors
    /// When JetStream is off or rejects a stream or consumer.
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
            max_age: EVENT_STREAM_MAX_AGE,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: self.replicas,
            ..Default::default()
        };
        for config in [jobs, events] {
            let name = config.name.clone();
            self.jetstream.create_or_update_stream(config).await.map_err(preflight::stream_rejected(&name))?;
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
            .context("the stream of jobs cannot be opened")?;
        stream
            .create_consumer(pull::Config {
                durable_name: Some(lane.name().to_owned()),
                filter_subject: self.names.lane_subjects(lane),
                ack_policy: AckPolicy::Explicit,
                ack_wait: self.lease,
                // PostgreSQL counts the attempts; a limit here would strand the message.
                max_deliver: -1,
                max_ack_pending: 10_000,
                ..Default::default()
            })
            .await
            .context("JetStream rejects a consumer")
    }

    /// The consumer of a lane.
    ///
    /// # Errors
    /// When JetStream rejects it.
    pub async fn lane(&self, lane: Lane) -> Result<LaneConsumer, QueueError> {
        Ok(LaneConsumer::new(self.consumer(lane).await?, lane))
    }

    /// Checks that JetStream responds.
    ///
    /// # Errors
    /// When it does not respond within two seconds.
    pub async fn ping(&self) -> Result<(), QueueError> {
        let account = self.jetstream.query_account();
        match tokio::time::timeout(Duration::from_secs(2), account).await {
            Ok(response) => response.map(drop).context("JetStream does not respond"),
            Err(elapsed) => Err(elapsed).context("JetStream does not respond"),
        }
    }

    /// The JetStream context, for the object store.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Names of streams, subjects and buckets.
    #[must_use]
    pub fn names(&self) -> &NatsNames {
        &self.names
    }

    /// Removes the streams and the bucket of this prefix from the server, for tests.
    ///
    /// # Errors
    /// When NATS does not respond.
    #[cfg(feature = "testing")]
    pub async fn destroy(&self) -> Result<(), QueueError> {
        for stream in [self.names.jobs_stream(), self.names.events_stream()] {
            self.jetstream.delete_stream(stream).await.context("a stream cannot be deleted")?;
        }
        // Created when it is opened, which a test need not have done.
        if self.jetstream.get_object_store(self.names.files_bucket()).await.is_ok() {
            let deleted = self.jetstream.delete_object_store(self.names.files_bucket()).await;
            deleted.context("the bucket cannot be deleted")?;
        }
        Ok(())
    }
}
