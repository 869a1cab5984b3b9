//! Requests that workers answer, because credentials of connections are opened in workers only.
//!
//! A request, its answer and its end are plain messages. Nothing is lost with one: the API goes on without the answer, or answers
//! 503; a worker whose client has gone unnoticed computes for nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Message, client::RequestErrorKind};
use futures::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Queue, QueueContext, QueueError};
use crate::lifecycle::Lifecycle;

/// The group of workers of which one gets a request.
const WORKERS: &str = "workers";
/// Requests of a subject that a worker answers at the same time.
const MAX_CONCURRENT: usize = 64;

impl Queue {
    /// Sends a request to a worker; `None`: no worker answers in time. Dropping the future ends the work of the worker.
    pub(super) async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        subject: String,
        query: &Q,
        timeout: Duration,
    ) -> Result<Option<A>, QueueError> {
        let payload = serde_json::to_vec(query).context("a query cannot be written")?;
        let inbox = self.client.new_inbox();
        let request = async_nats::Request::new().payload(payload.into()).timeout(Some(timeout)).inbox(inbox.clone());
        let mut pending =
            PendingRequest { client: self.client.clone(), cancel: self.names.cancel_subject(), inbox: Some(inbox) };
        let reply = self.client.send_request(subject, request).await;
        pending.inbox = None;
        match reply {
            Ok(reply) => {
                serde_json::from_slice(&reply.payload).context("the answer of a worker cannot be read").map(Some)
            }
            Err(error) if matches!(error.kind(), RequestErrorKind::NoResponders | RequestErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("a query cannot be sent to the workers"),
        }
    }

    /// Answers requests until the soft stop.
    pub(super) async fn answer<Q, A, F>(
        &self,
        subject: String,
        lifecycle: &Lifecycle,
        answer: impl Fn(Q) -> F + Send + Sync + 'static,
    ) -> Result<(), QueueError>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let subscribed = self.client.queue_subscribe(subject, WORKERS.to_owned()).await;
        let mut queries = subscribed.context("queries cannot be received")?;
        let cancelled = self.client.subscribe(self.names.cancel_subject()).await;
        let mut cancelled = cancelled.context("the ends of queries cannot be received")?;
        let (client, permits) = (self.client.clone(), Arc::new(Semaphore::new(MAX_CONCURRENT)));
        let (stop, in_progress) = (lifecycle.clone(), InProgress::default());
        let (stop_cancelling, of_cancelled) = (stop.clone(), in_progress.clone());
        lifecycle.spawn(async move {
            while let Some(Some(message)) = stop_cancelling.soft().run_until_cancelled(cancelled.next()).await {
                of_cancelled.cancel(&message);
            }
        });
        lifecycle.spawn(async move {
            loop {
                // Before a message is taken: other workers may have time for it.
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
                let message = tokio::select! {
                    () = stop.soft().cancelled() => return,
                    message = queries.next() => message,
                };
                let Some(message) = message else { return };
                let (Some(reply_to), Ok(query)) = (message.reply, serde_json::from_slice(&message.payload)) else {
                    continue;
                };
                let (client, answer) = (client.clone(), answer(query));
                let request = in_progress.begin(reply_to.to_string());
                stop.spawn_graceful(async move {
                    let reply = request.token.run_until_cancelled(answer).await;
                    drop((permit, request));
                    // Without an answer the client's request ends by its timeout.
                    if let Some(Ok(reply)) = reply.map(|reply| serde_json::to_vec(&reply)) {
                        let _ = client.publish(reply_to, reply.into()).await;
                    }
                });
            }
        });
        Ok(())
    }
}

/// A request without an answer; dropping it tells the worker.
struct PendingRequest {
    client: async_nats::Client,
    cancel: String,
    /// Where the answer arrives, which identifies the request; `None`: it has arrived.
    inbox: Option<String>,
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let (Some(inbox), Ok(runtime)) = (self.inbox.take(), Handle::try_current()) else { return };
        let (client, subject) = (self.client.clone(), std::mem::take(&mut self.cancel));
        runtime.spawn(async move {
            let _ = client.publish(subject, inbox.into()).await;
        });
    }
}

/// The requests that a worker answers, by the inbox of each.
#[derive(Clone, Debug, Default)]
struct InProgress(Arc<Mutex<HashMap<String, CancellationToken>>>);

/// A request that is being answered.
struct AnsweredRequest {
    all: InProgress,
    inbox: String,
    token: CancellationToken,
}

impl InProgress {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, inbox: String) -> AnsweredRequest {
        let token = CancellationToken::new();
        self.lock().insert(inbox.clone(), token.clone());
        AnsweredRequest { all: self.clone(), inbox, token }
    }

    /// Ends the work for a request whose client has gone, if this worker answers it.
    fn cancel(&self, message: &Message) {
        let token = std::str::from_utf8(&message.payload).ok().and_then(|inbox| self.lock().remove(inbox));
        if let Some(token) = token {
            token.cancel();
        }
    }
}

impl Drop for AnsweredRequest {
    fn drop(&mut self) {
        self.all.lock().remove(&self.inbox);
    }
}
