//! Vectors of queries that workers get from the servers of connections.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Queue, QueueError};
use crate::{
    id::{SpaceId, WorkspaceId},
    lifecycle::Lifecycle,
};

/// Queries whose vectors are needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedQuery {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The space of one of its connections.
    pub space: SpaceId,
    /// The query.
    pub text: String,
    /// Further ones. A worker of the version before ignores them, and answers with the vector of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
}

/// The vectors of queries, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmbedReply {
    /// The vector of a single query, of length one.
    Vector(Vec<f32>),
    /// The vectors of the first ones of several queries, as many as a message holds. `None`: the server rejects the query.
    Vectors(Vec<Option<Vec<f32>>>),
    /// The server rejects the first query.
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
    /// Asks a worker for the vectors of queries; `None`: no worker answers in time.
    ///
    /// # Errors
    /// When NATS does not work.
    pub async fn embed_query(&self, query: &EmbedQuery, timeout: Duration) -> Result<Option<EmbedReply>, QueueError> {
        self.ask(self.names.query_subject(), query, timeout).await
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn single_query_has_the_form_that_other_versions_read() {
        let single = json!({ "workspace": WorkspaceId::new(), "space": SpaceId::new(), "text": "tide" });
        let query: EmbedQuery = serde_json::from_value(single.clone()).unwrap();
        assert_eq!((query.text.as_str(), query.more.len()), ("tide", 0));
        assert_eq!(serde_json::to_value(&query).unwrap(), single);
    }
}
