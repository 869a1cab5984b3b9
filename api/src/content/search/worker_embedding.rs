//! Vectors of queries in the spaces of connections: a worker calls the server, because credentials are opened in workers only.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use nvisy_shared::{
    id::{SpaceId, WorkspaceId},
    queue::{EmbedQuery, EmbedReply, Queue},
};

use crate::{http::extract::invalid_field, problem::Problem, query_vectors::QueryVectors, state::State};

/// Seconds after which a client repeats a search that no worker has answered.
const NO_WORKER_SECONDS: u32 = 5;
/// How much longer the API waits for a message than a search for its vector, so that the limit of the search decides.
const MESSAGE_MARGIN: Duration = Duration::from_secs(2);
/// Bytes of the texts of a message behind its first one: fewer than NATS allows.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// A vector, or why there is none.
type WorkerVector = Result<Arc<[f32]>, WorkerError>;

#[derive(Clone, Debug)]
enum WorkerError {
    /// The server rejects the query.
    Rejected,
    /// The seconds until a retry, and the reason, for members.
    Unavailable(u32, String),
}

/// Queries of a space that a worker embeds together. Clones share the call, which ends when all of them are dropped.
#[derive(Clone)]
pub struct WorkerBatch(Shared<BoxFuture<'static, Arc<[WorkerVector]>>>);

impl WorkerBatch {
    pub fn new(state: &State, workspace: WorkspaceId, space: SpaceId, texts: Vec<String>) -> Self {
        let (queue, vectors) = (state.platform.queue.clone(), state.query_vectors.clone());
        let batch = Batch { queue, vectors, workspace, space, texts };
        Self(batch.embed().boxed().shared())
    }

    /// Waits for the vector of the query at this place.
    pub async fn vector(self, place: usize) -> Result<Arc<[f32]>, Problem> {
        let vectors = self.0.await;
        match vectors.get(place) {
            Some(Ok(vector)) => Ok(Arc::clone(vector)),
            Some(Err(WorkerError::Rejected)) => {
                Err(invalid_field("query", "is rejected by the embedding server of the collection's connection"))
            }
            Some(Err(WorkerError::Unavailable(seconds, reason))) => {
                Err(Problem::unavailable(*seconds).detail(format!("{reason}; mode `text` works")))
            }
            None => Err(Problem::internal("a query of a batch has no vector")),
        }
    }
}

struct Batch {
    queue: Queue,
    vectors: QueryVectors,
    workspace: WorkspaceId,
    space: SpaceId,
    texts: Vec<String>,
}

impl Batch {
    /// The vectors of the texts, in their order.
    async fn embed(self) -> Arc<[WorkerVector]> {
        let mut found: Vec<Option<WorkerVector>> =
            self.texts.iter().map(|text| self.vectors.cached(self.space, text).map(Ok)).collect();
        let missing: Vec<usize> = (0..found.len()).filter(|place| found[*place].is_none()).collect();
        let mut of_others = unavailable("the server of the collection's connection does not answer");
        if !missing.is_empty() && self.vectors.admits(self.space) {
            match self.vectors.in_time(self.space, self.ask(&mut found, &missing)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => of_others = error,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "queries have no vector"),
            }
        }
        found.into_iter().map(|vector| vector.unwrap_or_else(|| Err(of_others.clone()))).collect()
    }

    /// Adds the vectors of the missing texts. An answer has the first ones of a message, as many as it can hold; that of a worker
    /// of the version before has one.
    async fn ask(&self, found: &mut [Option<WorkerVector>], mut missing: &[usize]) -> Result<(), WorkerError> {
        while let [first, others @ ..] = missing {
            let mut bytes = 0;
            let others = others.iter().take_while(|place| {
                bytes += self.texts[**place].len();
                bytes <= MAX_MESSAGE_BYTES
            });
            let query = EmbedQuery {
                workspace: self.workspace,
                space: self.space,
                text: self.texts[*first].clone(),
                more: others.map(|place| self.texts[*place].clone()).collect(),
            };
            let vectors = self.send(&query).await?;
            let (answered, rest) = missing.split_at(vectors.len().min(1 + query.more.len()));
            for (place, vector) in answered.iter().zip(vectors) {
                if let Ok(vector) = &vector {
                    self.vectors.insert(self.space, &self.texts[*place], Arc::clone(vector));
                }
                found[*place] = Some(vector);
            }
            missing = rest;
        }
        Ok(())
    }

    /// The answer of a worker: one vector at least.
    async fn send(&self, query: &EmbedQuery) -> Result<Vec<WorkerVector>, WorkerError> {
        match self.queue.embed_query(query, self.vectors.timeout() + MESSAGE_MARGIN).await {
            Ok(Some(EmbedReply::Vector(vector))) => Ok(vec![Ok(vector.into())]),
            Ok(Some(EmbedReply::Vectors(vectors))) if !vectors.is_empty() => {
                let vector = |vector: Option<Vec<f32>>| vector.map(Arc::<[f32]>::from).ok_or(WorkerError::Rejected);
                Ok(vectors.into_iter().map(vector).collect())
            }
            Ok(Some(EmbedReply::Rejected)) => Ok(vec![Err(WorkerError::Rejected)]),
            Ok(Some(EmbedReply::Unavailable { seconds, reason })) => Err(WorkerError::Unavailable(seconds, reason)),
            Ok(Some(EmbedReply::Vectors(_)) | None) => Err(unavailable("no worker computes the query's vector")),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "queries have no vector");
                Err(unavailable("no worker can be asked for the query's vector"))
            }
        }
    }
}

fn unavailable(reason: &str) -> WorkerError {
    WorkerError::Unavailable(NO_WORKER_SECONDS, reason.to_owned())
}
