//! Live events for the listeners of this process.

use async_nats::Subscriber;
use futures::StreamExt;
use tokio::sync::broadcast;

use super::{Queue, QueueContext, QueueError};
use crate::{lifecycle::Lifecycle, store::event::Event};

/// Events by which a listener may lag before it must read the rest from PostgreSQL.
const FEED_CAPACITY: usize = 1_024;

/// The events of all workspaces as they are published, for any number of listeners in this process.
///
/// The feed may skip and repeat events: listeners compare sequence numbers and read missing events from the database.
#[derive(Clone, Debug)]
pub struct EventFeed {
    events: broadcast::Sender<Event>,
}

impl EventFeed {
    /// Subscribes; one subscription serves the whole process.
    ///
    /// # Errors
    /// When NATS is unavailable.
    pub async fn open(queue: &Queue, lifecycle: &Lifecycle) -> Result<Self, QueueError> {
        let subscriber =
            queue.client.subscribe(queue.names.events_subjects()).await.context("events cannot be followed")?;
        let (events, _) = broadcast::channel(FEED_CAPACITY);
        lifecycle.spawn(forward(subscriber, events.clone(), lifecycle.clone()));
        Ok(Self { events })
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

async fn forward(mut subscriber: Subscriber, events: broadcast::Sender<Event>, lifecycle: Lifecycle) {
    loop {
        let message = tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            message = subscriber.next() => message,
        };
        let Some(message) = message else { return };
        if let Ok(event) = serde_json::from_slice(&message.payload) {
            // Fails without listeners, which is fine.
            let _ = events.send(event);
        }
    }
}
