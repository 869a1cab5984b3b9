//! Scores of passages that workers get from the servers of connections.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Queue, QueueError};
use crate::{
    id::{ChunkId, ConnectionId, WorkspaceId},
    lifecycle::Lifecycle,
};

/// Passages to be scored. Their texts are not sent: a worker reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RerankQuery {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// One of its connections.
    pub connection: ConnectionId,
    /// Another model than that of the connection.
    pub model: Option<String>,
    /// The query.
    pub text: String,
    /// The passages.
    pub chunks: Vec<ChunkId>,
}

/// The scores, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RerankReply {
    /// Of each passage, in the order of the query; `None`: it was deleted meanwhile.
    Scores(Vec<Option<f64>>),
    /// The server gives no scores, for this reason, which members may read.
    Unavailable(String),
}

impl Queue {
    /// Asks a worker for scores; `None`: no worker answers in time.
    ///
    /// # Errors
    /// When NATS does not work.
    pub async fn rerank(&self, query: &RerankQuery, timeout: Duration) -> Result<Option<RerankReply>, QueueError> {
        self.ask(self.names.rerank_subject(), query, timeout).await
    }

    /// Answers requests for scores until the soft stop.
    ///
    /// # Errors
    /// When NATS is not available.
    pub async fn answer_reranks<F>(
        &self,
        lifecycle: &Lifecycle,
        answer: impl Fn(RerankQuery) -> F + Send + Sync + 'static,
    ) -> Result<(), QueueError>
    where
        F: Future<Output = RerankReply> + Send + 'static,
    {
        self.answer(self.names.rerank_subject(), lifecycle, answer).await
    }
}
