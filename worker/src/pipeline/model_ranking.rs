//! Searches that a model reranks, in evaluations.

use std::{collections::HashMap, time::Duration};

use nvisy_embed::Reranker;
use nvisy_shared::{
    id::{ChunkId, WorkspaceId},
    store::{
        job::Claim,
        search::{Hit, ModelRerank, RerankModel, SearchQuery, meaning, search},
    },
};

use super::reranking::RerankConnection;
use crate::{context::Context, runner::JobError};

/// How long a job waits for a worker that has the operator's model.
const NO_MODEL_DELAY: Duration = Duration::from_secs(30);

/// The model of a ranking.
pub enum RankingModel {
    /// That of the operator.
    Local(Reranker),
    /// One of a connection.
    Connection(Box<RerankConnection>),
}

/// The scores of passages for one query, which several searches may find.
pub type PassageScores = HashMap<ChunkId, f64>;

impl RankingModel {
    /// Opens the model.
    ///
    /// # Errors
    /// [`JobError::Blocked`] while this worker does not have it, or the connection is disabled; a failure when that was deleted.
    pub async fn open(cx: &Context, workspace: WorkspaceId, rerank: &ModelRerank) -> Result<Self, JobError> {
        match &rerank.model {
            RerankModel::Local => cx.reranker.clone().map(Self::Local).ok_or_else(|| JobError::Blocked {
                reason: "this worker has no reranking model (NVISY_RERANKING_DIRECTORY)".to_owned(),
                delay: NO_MODEL_DELAY,
            }),
            RerankModel::Connection { connection, model } => {
                let opened = RerankConnection::open(cx, workspace, *connection, model.as_deref()).await?;
                Ok(Self::Connection(Box::new(opened)))
            }
        }
    }

    /// The search with the scores of the passages that it finds first. Only those that are not known yet are computed.
    ///
    /// # Errors
    /// Waits and failures as of nodes: an evaluation measures no search that is not reranked.
    pub async fn rank(
        &self,
        cx: &Context,
        claim: &Claim,
        query: SearchQuery,
        known: &mut PassageScores,
    ) -> Result<SearchQuery, JobError> {
        let text = meaning(&query.text);
        let Some(for_model) = query.for_model().filter(|_| !text.is_empty()) else { return Ok(query) };
        let hits = search(&cx.db, claim.workspace_id, &for_model).await?.hits;
        let unknown: Vec<&Hit> = hits.iter().filter(|hit| !known.contains_key(&hit.chunk_id)).collect();
        let texts: Vec<String> = unknown.iter().map(|hit| hit.text()).collect();
        if !texts.is_empty() {
            let scores = self.score(claim, &text, texts).await?;
            known.extend(unknown.iter().map(|hit| hit.chunk_id).zip(scores));
        }
        let of_hit = |hit: &Hit| Some((hit.chunk_id, *known.get(&hit.chunk_id)?));
        Ok(SearchQuery { model_scores: hits.iter().filter_map(of_hit).collect(), ..query })
    }

    async fn score(&self, claim: &Claim, query: &str, texts: Vec<String>) -> Result<Vec<f64>, JobError> {
        match self {
            Self::Local(reranker) => {
                reranker.score(query, texts).await.map_err(JobError::retry("the passages of a query are not scored"))
            }
            Self::Connection(connection) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                connection.score(claim, query, &texts).await
            }
        }
    }
}
