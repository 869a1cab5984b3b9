//! Reranking of searches by a model: the operator's in this process, or that of a connection, which a worker calls.

use std::{collections::HashMap, time::Duration};

use nvisy_embed::Reranker;
use nvisy_shared::{
    domain::connection::reranking::Reranking,
    id::{ChunkId, ConnectionId, WorkspaceId},
    platform::Platform,
    queue::{RerankQuery, RerankReply},
    store::{
        self, Conn,
        search::{Hit, ModelRerank, Rerank, RerankModel},
    },
};

use crate::{
    http::extract::invalid_field,
    passage_scores::{RankingKey, ScoredChunk},
    problem::{Code, Problem},
    state::State,
};

/// How much longer the API waits for a worker than the worker for the server.
const WORKER_MARGIN: Duration = Duration::from_secs(2);

/// The second ranking of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerankCommand {
    Neighbours,
    Local {
        candidates: u32,
    },
    Connection {
        /// Name or id.
        connection: String,
        model: Option<String>,
        candidates: u32,
    },
}

/// A model that scores the passages of a search.
pub struct PassageScorer {
    source: ScoreSource,
    /// Everything on which a score depends, besides query and passage.
    identity: String,
    /// The longest wait.
    timeout: Duration,
}

/// Where scores come from.
enum ScoreSource {
    /// The operator's model.
    Local(Reranker),
    /// A worker, which calls the server of a connection.
    Connection { connection: ConnectionId, model: Option<String> },
}

/// The ranking of a command, and the model if it needs one. 404 for an unknown connection, 422 for one that cannot rerank, 409 if
/// it is disabled or the server has no model.
pub async fn resolve(
    platform: &Platform,
    conn: &impl Conn,
    workspace: WorkspaceId,
    command: RerankCommand,
) -> Result<(Rerank, Option<PassageScorer>), Problem> {
    let (scorer, model, candidates) = match command {
        RerankCommand::Neighbours => return Ok((Rerank::Neighbours, None)),
        RerankCommand::Local { candidates } => (local(platform)?, RerankModel::Local, candidates),
        RerankCommand::Connection { connection, model, candidates } => {
            let (connection, scorer) = of_connection(conn, workspace, &connection, model.clone()).await?;
            (scorer, RerankModel::Connection { connection, model }, candidates)
        }
    };
    Ok((Rerank::Model(ModelRerank { model, candidates }), Some(scorer)))
}

/// The operator's model.
fn local(platform: &Platform) -> Result<PassageScorer, Problem> {
    let reranker = platform
        .reranker
        .clone()
        .ok_or_else(|| Problem::new(Code::NoReranker).detail("this server has no reranking model of its own"))?;
    let identity = format!("local {}", reranker.model());
    let timeout = Duration::from_secs(platform.config.reranking.timeout_seconds);
    Ok(PassageScorer { source: ScoreSource::Local(reranker), identity, timeout })
}

/// The connection of this name or id, which must be able to rerank.
async fn of_connection(
    conn: &impl Conn,
    workspace: WorkspaceId,
    key: &str,
    model: Option<String>,
) -> Result<(ConnectionId, PassageScorer), Problem> {
    let row = store::connection::find_by_key(conn, workspace, key).await?;
    let row = row.ok_or_else(|| Problem::not_found().detail("the connection of `rerank` does not exist"))?;
    let reranking = Reranking::of(&row.provider, &row.settings, model.as_deref())
        .ok_or_else(|| invalid_field("rerank.connection", "is not to a provider with the capability `rerank`"))?
        .map_err(|error| Problem::internal(error.to_string()))?;
    if !row.enabled {
        let detail = format!("the connection `{}` is disabled", row.name);
        return Err(Problem::new(Code::NoReranker).detail(detail));
    }
    let identity = format!("{} {} {}", row.id, row.revision, reranking.model);
    let source = ScoreSource::Connection { connection: row.id, model };
    Ok((row.id, PassageScorer { source, identity, timeout: reranking.timeout }))
}

impl PassageScorer {
    /// The scores of passages for a query, or why there are none, for members. Dropping the future ends the work.
    pub async fn score(
        &self,
        state: &State,
        workspace: WorkspaceId,
        query: &str,
        hits: &[Hit],
    ) -> Result<HashMap<ChunkId, f64>, String> {
        let ranking = RankingKey::new(&self.identity, query);
        let mut scores = state.passage_scores.known(ranking, hits.iter().map(|hit| (hit.chunk_id, hit.revision)));
        let unknown: Vec<&Hit> = hits.iter().filter(|hit| !scores.contains_key(&hit.chunk_id)).collect();
        if unknown.is_empty() {
            return Ok(scores);
        }
        let computed = self.compute(&state.platform, workspace, query, &unknown).await?;
        let of_hit = |(hit, score): (&&Hit, Option<f64>)| {
            Some(((hit.chunk_id, hit.revision), score.filter(|score| score.is_finite())?))
        };
        let computed: Vec<(ScoredChunk, f64)> = unknown.iter().zip(computed).filter_map(of_hit).collect();
        state.passage_scores.insert(ranking, computed.iter().copied());
        scores.extend(computed.into_iter().map(|((chunk, _), score)| (chunk, score)));
        Ok(scores)
    }

    /// Computes scores; `None` for a passage that was deleted meanwhile.
    async fn compute(
        &self,
        platform: &Platform,
        workspace: WorkspaceId,
        query: &str,
        hits: &[&Hit],
    ) -> Result<Vec<Option<f64>>, String> {
        match &self.source {
            ScoreSource::Local(reranker) => {
                let texts = hits.iter().map(|hit| hit.text()).collect();
                let scores = tokio::time::timeout(self.timeout, reranker.score(query, texts)).await;
                let scores = scores.map_err(|_| "the reranking model of the server has too much to do".to_owned())?;
                let scores = scores.map_err(|error| {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a search is not reranked");
                    "the reranking model of the server gives no scores".to_owned()
                })?;
                Ok(scores.into_iter().map(Some).collect())
            }
            ScoreSource::Connection { connection, model } => {
                let query = RerankQuery {
                    workspace,
                    connection: *connection,
                    model: model.clone(),
                    text: query.to_owned(),
                    chunks: hits.iter().map(|hit| hit.chunk_id).collect(),
                };
                ask_worker(platform, query, self.timeout + WORKER_MARGIN).await
            }
        }
    }
}

async fn ask_worker(platform: &Platform, query: RerankQuery, timeout: Duration) -> Result<Vec<Option<f64>>, String> {
    match platform.queue.rerank(&query, timeout).await {
        Ok(Some(RerankReply::Scores(scores))) => Ok(scores),
        Ok(Some(RerankReply::Unavailable(reason))) => Err(reason),
        Ok(None) => Err("no worker calls the connection".to_owned()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a search is not reranked");
            Err("no worker can be asked to call the connection".to_owned())
        }
    }
}
