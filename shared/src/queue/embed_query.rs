//! Vectors of queries that workers get from the servers of connections.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Queue, QueueError};
use crate::{
    id::{SpaceId, WorkspaceId},
    lifecycle::Lifecycle,
};

/// How long a client waits for its query's vector.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

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
        self.ask(self.names.query_subject(), query, REQUEST_TIMEOUT).await
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
        self.answer(self.names.query_subject(), lifecycle, answer).await
    }
}
