//! Live events, for those who are listening now.

use async_nats::Subscriber;
use futures::StreamExt;
use tokio::sync::broadcast;

use super::{Queue, QueueError, doing};
use crate::{lifecycle::Lifecycle, store::event::Event};

/// Events a slow listener may fall behind before it has to read the rest from PostgreSQL.
const BEHIND: usize = 1_024;

/// All workspaces' events as they are published, to any number of listeners in this process.
///
/// It may skip and repeat: listeners compare sequence numbers and read what they miss from the log.
#[derive(Clone, Debug)]
pub struct Feed {
    events: broadcast::Sender<Event>,
}

impl Feed {
    /// Subscribes; one subscription serves the whole process.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn open(queue: &Queue, lifecycle: &Lifecycle) -> Result<Self, QueueError> {
        let subscriber =
            queue.client.subscribe(queue.names.events_subjects()).await.map_err(doing("events cannot be followed"))?;
        let (events, _) = broadcast::channel(BEHIND);
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
        // Nobody listening is fine.
        if let Ok(event) = serde_json::from_slice(&message.payload) {
            let _ = events.send(event);
        }
    }
}
