//! Scores of passages that the reranker of a connection gives, within the limits of the connection.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nvisy_embed::Tokenizer;
use nvisy_shared::{
    domain::{
        connection::{CheckStep, reranking::Reranking},
        failure::{Failure, FailureCode},
    },
    entity::connection::Model,
    id::{ConnectionId, RunId, WorkspaceId},
    queue::{RerankQuery, RerankReply},
    store::{self, job::Claim, model_usage::ModelCall, search::chunk_texts},
    telemetry::metrics::metrics,
};
use uuid::Uuid;

use super::budget::{self, Account};
use crate::{
    connectors::{
        OpenConnection,
        gate::{self, BLOCKED_DELAY, Gate},
        target::step,
    },
    context::Context,
    providers::{
        ModelFailure,
        rerank::{RerankClient, Scores},
    },
    runner::JobError,
};

/// Searches and evaluations belong to no run.
const NO_RUN: RunId = RunId(Uuid::nil());

/// A connection to a reranker.
pub struct RerankConnection {
    cx: Context,
    connection: OpenConnection,
    client: RerankClient,
}

/// Why there are no scores.
#[derive(Debug)]
enum ScoreError {
    /// The server gives none.
    Server(ModelFailure),
    /// The limit of searches is reached until their time is over.
    Busy,
    /// The time is over.
    TimedOut,
    /// Any other reason.
    Job(JobError),
}

impl<E: Into<JobError>> From<E> for ScoreError {
    fn from(error: E) -> Self {
        Self::Job(error.into())
    }
}

impl RerankConnection {
    /// Opens a connection, with another model than its own if one is named; no server is called.
    ///
    /// # Errors
    /// [`JobError::Blocked`] while it is disabled; [`FailureCode::ConnectionNotFound`] when it was deleted, or cannot rerank.
    pub async fn open(
        cx: &Context,
        workspace: WorkspaceId,
        connection: ConnectionId,
        model: Option<&str>,
    ) -> Result<Self, JobError> {
        let gone = |detail: String| JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail));
        let connection = OpenConnection::find(cx, workspace, connection)
            .await?
            .ok_or_else(|| gone("the connection of the reranker was deleted".to_owned()))?;
        Self::of(cx, connection, model)
    }

    fn of(cx: &Context, connection: OpenConnection, model: Option<&str>) -> Result<Self, JobError> {
        let unreadable = JobError::retry::<String>("the settings of a connection cannot be read");
        let reranking = match Reranking::of(&connection.provider, &connection.settings, model) {
            Some(Ok(reranking)) => reranking,
            Some(Err(error)) => return Err(unreadable(error.to_string())),
            None => {
                let detail = format!("the connection `{}` cannot rerank", connection.name);
                return Err(JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail)));
            }
        };
        let credentials = connection.credentials().map_err(|error| unreadable(error.to_string()))?;
        let client = RerankClient::new(cx.outbound.clone(), reranking, credentials);
        Ok(Self { cx: cx.clone(), connection, client })
    }

    /// The scores of passages for a query, in their order; of a job.
    ///
    /// # Errors
    /// Waits and failures as of nodes.
    pub async fn score(&self, claim: &Claim, query: &str, texts: &[&str]) -> Result<Vec<f64>, JobError> {
        match self.call(Some(claim), query, texts).await {
            Ok(scores) => Ok(scores),
            Err(ScoreError::Server(failure)) => Err(self.failed(failure).await?),
            Err(ScoreError::Job(error)) => Err(error),
            Err(ScoreError::Busy | ScoreError::TimedOut) => {
                Err(JobError::retry("the reranker does not answer in time")(self.connection.name.clone()))
            }
        }
    }

    /// As [`RerankConnection::score`], of a search, which does not wait for the connection: the error is the reason, for members.
    async fn score_now(&self, query: &str, texts: &[&str]) -> Result<Vec<f64>, String> {
        let error = match self.call(None, query, texts).await {
            Ok(scores) => return Ok(scores),
            Err(error) => error,
        };
        let name = &self.connection.name;
        match error {
            ScoreError::Server(failure) => {
                let reason = Gate::of(&self.cx, &self.connection).reason(&failure);
                tracing::warn!(connection.id = %self.connection.id, error = &failure as &dyn std::error::Error, "a search is not reranked");
                // Counted, so that a server that is away is not called by every search.
                self.failed(failure).await.map_err(reason_of)?;
                Err(reason)
            }
            ScoreError::Busy => Err(format!("as many searches as the `concurrency` of `{name}` allows call it")),
            ScoreError::TimedOut => Err(format!("the connection `{name}` does not answer in time")),
            ScoreError::Job(error) => Err(reason_of(error)),
        }
    }

    /// Calls the server within all limits, with as many requests as it needs for all passages.
    async fn call(&self, claim: Option<&Claim>, query: &str, texts: &[&str]) -> Result<Vec<f64>, ScoreError> {
        let reranking = self.client.reranking();
        let deadline = Instant::now() + reranking.timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let gate = Gate::of(&self.cx, &self.connection);
        gate.check_circuit().await?;
        budget::check(&self.cx, self.account()).await?;
        let mut permit = None;
        match (claim, gate.limits.concurrency) {
            (Some(claim), _) => gate.begin(claim).await?,
            (None, None) => {}
            (None, Some(limit)) => {
                let waiting = self.cx.search_permits.acquire(self.connection.id, limit);
                permit = tokio::time::timeout(left(), waiting).await.map_err(|_| ScoreError::Busy)?;
            }
        }
        let mut scores = Vec::with_capacity(texts.len());
        for texts in texts.chunks(reranking.request_texts.max(1)) {
            gate.take(1).await?;
            let left = left();
            if left.is_zero() {
                return Err(ScoreError::TimedOut);
            }
            let answer = self.client.score(query, texts, left).await.map_err(ScoreError::Server)?;
            self.record(query, texts, &answer).await?;
            scores.extend(answer.scores);
        }
        drop(permit);
        gate.succeeded().await?;
        Ok(scores)
    }

    /// Counts a failure of the server; returns the error of a job.
    async fn failed(&self, failure: ModelFailure) -> Result<JobError, JobError> {
        metrics().provider_error("reranker", failure.name());
        let gate = Gate::of(&self.cx, &self.connection);
        let reason = gate.reason(&failure);
        Ok(match failure {
            ModelFailure::Busy { retry_after, .. } => gate.block(gate::wait_of(retry_after), reason).await?,
            ModelFailure::Blocked(_) => gate.block(BLOCKED_DELAY, reason).await?,
            ModelFailure::Unavailable(_) => gate.unavailable("the reranker is not available", failure).await?,
            ModelFailure::Invalid(_) => JobError::retry("the reranker gives no valid response")(failure),
            ModelFailure::TooLong(_) | ModelFailure::Rejected(_) | ModelFailure::Refused(_) => {
                JobError::Fail(Failure::new(FailureCode::ProviderRejected, reason))
            }
        })
    }

    fn account(&self) -> Account<'_> {
        Account {
            workspace: self.connection.workspace,
            run: NO_RUN,
            connection: self.connection.id,
            name: &self.connection.name,
            monthly_budget: self.client.reranking().monthly_budget,
        }
    }

    /// Counts a request, whose tokens are an estimate where the server does not count: the query is read with each passage.
    async fn record(&self, query: &str, texts: &[&str], answer: &Scores) -> Result<(), JobError> {
        let estimate = || {
            let tokenizer = Tokenizer::estimate();
            let passages: usize = texts.iter().map(|text| tokenizer.count(text)).sum();
            (passages + texts.len() * tokenizer.count(query)) as u64
        };
        let tokens = answer.tokens.unwrap_or_else(estimate);
        let reranking = self.client.reranking();
        let call = ModelCall {
            connection: self.connection.id,
            model: &reranking.model,
            run: NO_RUN,
            input_tokens: i64::try_from(tokens).unwrap_or(i64::MAX),
            output_tokens: 0,
            cost: reranking.cost(tokens),
        };
        Ok(store::model_usage::record(&self.cx.db, self.connection.workspace, call).await?)
    }
}

/// Why a search has no scores, for members.
fn reason_of(error: JobError) -> String {
    match error {
        JobError::Blocked { reason, .. } => reason,
        JobError::Snooze { what, .. } => what.to_owned(),
        JobError::Fail(failure) => failure.detail,
        error => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a search is not reranked");
            "the reranker of the connection is not available".to_owned()
        }
    }
}

/// Answers a request of the API.
pub async fn answer(cx: Context, query: RerankQuery) -> RerankReply {
    match scores(&cx, query).await {
        Ok(scores) => RerankReply::Scores(scores),
        Err(reason) => RerankReply::Unavailable(reason),
    }
}

async fn scores(cx: &Context, query: RerankQuery) -> Result<Vec<Option<f64>>, String> {
    let RerankQuery { workspace, connection, model, text, chunks } = query;
    let opened = RerankConnection::open(cx, workspace, connection, model.as_deref()).await.map_err(reason_of)?;
    let texts = chunk_texts(&cx.db, workspace, chunks.clone()).await.map_err(|error| reason_of(error.into()))?;
    let known: Vec<_> = chunks.iter().filter_map(|chunk| Some((*chunk, texts.get(chunk)?.as_str()))).collect();
    let passages: Vec<&str> = known.iter().map(|(_, text)| *text).collect();
    let scores = match passages.is_empty() {
        true => Vec::new(),
        false => opened.score_now(&text, &passages).await?,
    };
    let by_chunk: HashMap<_, f64> = known.iter().map(|(chunk, _)| *chunk).zip(scores).collect();
    Ok(chunks.iter().map(|chunk| by_chunk.get(chunk).copied()).collect())
}

/// Checks a connection step by step, up to the first that fails: its address, and the scores of two words.
pub async fn check(cx: &Context, workspace: WorkspaceId, row: Model) -> Vec<CheckStep> {
    let opened = OpenConnection::open(cx, workspace, row).and_then(|open| RerankConnection::of(cx, open, None));
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![step("address", Err(error.to_string()))],
    };
    let Reranking { base_url, timeout, .. } = opened.client.reranking();
    let address = match base_url {
        None => Err("the connection has no address".to_owned()),
        Some(url) => cx.outbound.check(url).map_err(|failure| failure.to_string()),
    };
    if let Err(reason) = address {
        return vec![step("address", Err(reason))];
    }
    let (began, timeout): (Instant, Duration) = (Instant::now(), *timeout);
    let answer = match opened.client.score("word", &["word", "other"], timeout).await {
        Ok(_) => Ok(format!("the server scores two texts in {} ms", began.elapsed().as_millis())),
        Err(failure) => Err(failure.to_string()),
    };
    vec![step("address", Ok("the address may be called".to_owned())), step("answer", answer)]
}
