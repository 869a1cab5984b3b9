//! Vectors of queries that workers compute: those of connections, whose credentials are opened in workers only.
//!
//! A request and its answer are plain messages. Nothing is lost with one: the API answers the client with 503.

use std::{sync::Arc, time::Duration};

use async_nats::client::RequestErrorKind;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Queue, QueueContext, QueueError};
use crate::{
    id::{SpaceId, WorkspaceId},
    lifecycle::Lifecycle,
};

/// The group of workers of which one gets a request.
const WORKERS: &str = "workers";
/// How long a client waits for its query's vector.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Queries that a worker answers at the same time.
const MAX_CONCURRENT: usize = 64;

/// A query whose vector is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedQuery {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The space of one of its connections.
    pub space: SpaceId,
    /// The query.
    pub text: String,
}

/// The vector of a query, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmbedReply {
    /// The vector, of length one.
    Vector(Vec<f32>),
    /// The server rejects the query itself.
    Rejected,
    /// The server is not available for this many seconds.
    Unavailable {
        /// The seconds.
        seconds: u32,
        /// The reason, for members.
        reason: String,
    },
}

impl Queue {
    /// Asks a worker for the vector of a query; `None`: no worker answers.
    ///
    /// # Errors
    /// When NATS does not work.
    pub async fn embed_query(&self, query: &EmbedQuery) -> Result<Option<EmbedReply>, QueueError> {
        let payload = serde_json::to_vec(query).context("a query cannot be written")?;
        let request = async_nats::Request::new().payload(payload.into()).timeout(Some(REQUEST_TIMEOUT));
        match self.client.send_request(self.names.query_subject(), request).await {
            Ok(reply) => {
                serde_json::from_slice(&reply.payload).context("the answer of a worker cannot be read").map(Some)
            }
            Err(error) if matches!(error.kind(), RequestErrorKind::NoResponders | RequestErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("a query cannot be sent to the workers"),
        }
    }

    /// Answers queries until the soft stop.
    ///
    /// # Errors
    /// When NATS is not available.
    pub async fn answer_queries<F>(
        &self,
        lifecycle: &Lifecycle,
        answer: impl Fn(EmbedQuery) -> F + Send + Sync + 'static,
    ) -> Result<(), QueueError>
    where
        F: Future<Output = EmbedReply> + Send + 'static,
    {
        let subject = self.names.query_subject();
        let subscribed = self.client.queue_subscribe(subject, WORKERS.to_owned()).await;
        let mut queries = subscribed.context("queries cannot be received")?;
        let (client, permits) = (self.client.clone(), Arc::new(Semaphore::new(MAX_CONCURRENT)));
        let stop = lifecycle.clone();
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
                stop.spawn_graceful(async move {
                    let reply = answer.await;
                    drop(permit);
                    // Without an answer the client's request ends by its timeout.
                    if let Ok(reply) = serde_json::to_vec(&reply) {
                        let _ = client.publish(reply_to, reply.into()).await;
                    }
                });
            }
        });
        Ok(())
    }
}
