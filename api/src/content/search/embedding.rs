//! The vectors of queries.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use nvisy_embed::{EmbedError, to_unit_length};
use nvisy_shared::{
    id::WorkspaceId,
    platform::Platform,
    store::{self, search::SpaceVector},
};

use super::{scope::QuerySpace, worker_embedding::WorkerBatch};
use crate::{http::extract::invalid_field, problem::Problem, query_vectors::PendingVector, state::State};

/// The vector of a request, if it fits the only space to search.
pub async fn check_vector(
    platform: &Platform,
    workspace: WorkspaceId,
    spaces: &[QuerySpace],
    mut vector: Vec<f32>,
) -> Result<SpaceVector, Problem> {
    let default = platform.spaces.default();
    let (id, quantisation) = match spaces {
        [] => (default.id, default.quantisation),
        [space] => (space.id, space.quantisation),
        _ => return Err(invalid_field("vector", "needs `collections` that have the same model")),
    };
    let dimensions = match platform.spaces.get(id) {
        Some(served) => served.embedder.space().dimensions,
        None => {
            let space = store::space::of_connection(&platform.db, workspace, id).await?;
            space.ok_or_else(|| Problem::internal("the space of a collection is gone"))?.space.spec.dimensions
        }
    };
    if vector.len() != usize::from(dimensions) {
        return Err(invalid_field("vector", format!("must have {dimensions} numbers")));
    }
    // Stored vectors have length one, and half of the precision holds no large numbers.
    if !to_unit_length(&mut vector) {
        return Err(invalid_field("vector", "must have finite numbers, not all of them 0"));
    }
    Ok(SpaceVector { space: id, quantisation, vector })
}

/// The vectors of a query that are requested; dropping it cancels what no other request needs.
#[derive(Default)]
pub struct QueryEmbedding {
    parts: Vec<(QuerySpace, Source)>,
}

/// Where a vector comes from.
enum Source {
    /// A model of this server, with its name.
    Model(String, PendingVector),
    /// A worker, because the space is that of a connection: the vector at a place of a batch.
    Worker(WorkerBatch, usize),
}

impl QueryEmbedding {
    /// Requests the vectors of queries, each in its spaces: those of a space together.
    pub fn request(state: &State, workspace: WorkspaceId, queries: &[(&[QuerySpace], String)]) -> Vec<Self> {
        let mut embeddings: Vec<Self> = queries.iter().map(|_| Self::default()).collect();
        let spaces: BTreeSet<QuerySpace> = queries.iter().flat_map(|(spaces, _)| *spaces).copied().collect();
        for space in spaces {
            let is_in = |(_, (spaces, _)): &(usize, &(&[QuerySpace], String))| spaces.contains(&space);
            let wanted: Vec<(usize, &str)> =
                queries.iter().enumerate().filter(is_in).map(|(place, (_, text))| (place, text.as_str())).collect();
            let Some(served) = state.platform.spaces.get(space.id) else {
                let texts = wanted.iter().map(|(_, text)| (*text).to_owned()).collect();
                let batch = WorkerBatch::new(state, workspace, space.id, texts);
                for (in_batch, (place, _)) in wanted.into_iter().enumerate() {
                    embeddings[place].parts.push((space, Source::Worker(batch.clone(), in_batch)));
                }
                continue;
            };
            let pending = state.query_vectors.request(&served, wanted.iter().map(|(_, text)| *text));
            for ((place, _), pending) in wanted.into_iter().zip(pending) {
                let model = served.embedder.space().model.clone();
                embeddings[place].parts.push((space, Source::Model(model, pending)));
            }
        }
        embeddings
    }

    /// Waits for the vectors.
    pub async fn finish(self) -> Result<Vec<SpaceVector>, Problem> {
        try_join_all(self.parts.into_iter().map(async |(space, source)| {
            let vector = match source {
                Source::Model(model, pending) => pending.wait().await.map_err(|error| embed_problem(&model, error))?,
                Source::Worker(batch, place) => batch.vector(place).await?,
            };
            Ok(SpaceVector { space: space.id, quantisation: space.quantisation, vector: vector.to_vec() })
        }))
        .await
    }
}

/// 503 that names the model whose provider is away. Its message is logged: it is for operators.
fn embed_problem(model: &str, error: EmbedError) -> Problem {
    let detail = format!("the embedding model `{model}` is not available; mode `text` works");
    let seconds = match &error {
        EmbedError::Busy { retry_after, .. } => u32::try_from(retry_after.as_secs().max(1)).unwrap_or(60),
        EmbedError::Blocked(_) => 60,
        EmbedError::Unavailable(_) => 5,
        // The query itself.
        EmbedError::Rejected(_) => {
            return invalid_field("query", format!("is rejected by the embedding model `{model}`"));
        }
    };
    Problem::unavailable(seconds).detail(detail).caused_by(error)
}
