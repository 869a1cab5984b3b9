//! Embeddings that the server of a connection computes, within the limits of the connection.

use std::{iter, time::Duration};

use nvisy_embed::{EmbedError, Embedded, Embedder, InputType};
use nvisy_shared::{
    domain::{
        connection::{CheckStep, embedding::EmbeddingSettings},
        failure::{Failure, FailureCode},
    },
    entity::connection::Model,
    id::{RunId, WorkspaceId},
    platform::spaces::connection_embed_settings,
    queue::{EmbedQuery, EmbedReply},
    store::{self, job::Claim, model_usage::ModelCall, space::ConnectionSpace},
};
use uuid::Uuid;

use super::{
    budget::{self, Account},
    embedding::{MAX_RETRY_DELAY, MIN_RETRY_DELAY, count_error, rejected},
};
use crate::{
    connectors::{
        OpenConnection,
        gate::{BLOCKED_DELAY, Gate},
        target::step,
    },
    context::Context,
    runner::JobError,
};

/// Longest wait for the answer of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// On whose behalf a server is called.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The run, which pays.
    pub run: RunId,
    /// The job; `None`: a search.
    pub claim: Option<Claim>,
}

impl Caller {
    /// A search, which belongs to no run.
    const SEARCH: Self = Self { run: RunId(Uuid::nil()), claim: None };

    /// A job that belongs to no run.
    #[must_use]
    pub const fn outside_runs(claim: Claim) -> Self {
        Self { run: RunId(Uuid::nil()), claim: Some(claim) }
    }
}

/// A connection to a server that computes embeddings.
pub struct EmbeddingConnection {
    cx: Context,
    connection: OpenConnection,
    settings: EmbeddingSettings,
    caller: Caller,
}

impl EmbeddingConnection {
    /// Opens the connection of a space; no server is called.
    ///
    /// # Errors
    /// [`JobError::Blocked`] while the connection is disabled, has another model than the space, or an address that is not allowed;
    /// [`FailureCode::ConnectionNotFound`] when it was deleted.
    pub async fn open(
        cx: &Context,
        workspace: WorkspaceId,
        space: &ConnectionSpace,
        caller: Caller,
    ) -> Result<(Embedder, Self), JobError> {
        let row = store::connection::find(&cx.db, workspace, space.connection).await?.ok_or_else(|| {
            let detail =
                "the connection that computes the collection's vectors was deleted: give the collection another";
            JobError::Fail(Failure::new(FailureCode::ConnectionNotFound, detail))
        })?;
        let blocked = |reason: String| JobError::Blocked { reason, delay: BLOCKED_DELAY };
        if !row.enabled {
            return Err(blocked(format!("the connection `{}` is disabled", row.name)));
        }
        let connection = OpenConnection::open(cx, workspace, row)?;
        let unreadable = |error: &dyn std::fmt::Display| {
            JobError::retry("the settings of a connection cannot be read")(error.to_string())
        };
        let settings: EmbeddingSettings = connection.settings().map_err(|error| unreadable(&error))?;
        let credentials = connection.credentials().map_err(|error| unreadable(&error))?;
        let embed_settings = connection_embed_settings(&settings, credentials.as_ref(), &cx.outbound)
            .await
            .map_err(|failure| blocked(format!("the connection `{}` cannot be used: {failure}", connection.name)))?;
        let embedder = Embedder::open(&embed_settings).await.map_err(|error| unreadable(&error))?;
        let embedder = embedder.of_space(&space.space.spec).ok_or_else(|| {
            blocked(format!("the connection `{}` has another model than the collection", connection.name))
        })?;
        Ok((embedder, Self { cx: cx.clone(), connection, settings, caller }))
    }

    /// The vectors of texts, or why the server rejects one, within the limits of the connection; counted with its cost.
    ///
    /// # Errors
    /// Waits and failures as of nodes.
    pub async fn embed(
        &self,
        embedder: &Embedder,
        input_type: InputType,
        texts: Vec<String>,
    ) -> Result<Vec<Embedded>, JobError> {
        let gate = Gate::of(&self.cx, &self.connection);
        gate.check_circuit().await?;
        budget::check(&self.cx, self.account()).await?;
        if let Some(claim) = &self.caller.claim {
            gate.begin(claim).await?;
        }
        gate.take(1).await?;
        // An estimate: not every server counts.
        let tokenizer = embedder.tokenizer();
        let tokens = texts.iter().map(|text| tokenizer.count(text) as u64).sum();
        let error = match embedder.embed_each(input_type, texts).await {
            Ok(vectors) => {
                gate.succeeded().await?;
                self.record(tokens).await?;
                return Ok(vectors);
            }
            Err(error) => error,
        };
        count_error("embedding_connection", &error);
        let reason = gate.reason(&error);
        Err(match error {
            EmbedError::Busy { retry_after, .. } => {
                gate.block(retry_after.clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY), reason).await?
            }
            EmbedError::Blocked(_) => gate.block(BLOCKED_DELAY, reason).await?,
            EmbedError::Rejected(reason) => rejected(&reason),
            error @ EmbedError::Unavailable(_) => {
                gate.unavailable("the embedding server is not available", error).await?
            }
        })
    }

    fn account(&self) -> Account<'_> {
        Account {
            workspace: self.connection.workspace,
            run: self.caller.run,
            connection: self.connection.id,
            name: &self.connection.name,
            monthly_budget: self.settings.monthly_budget,
        }
    }

    async fn record(&self, tokens: u64) -> Result<(), JobError> {
        let call = ModelCall {
            connection: self.connection.id,
            model: &self.settings.model,
            run: self.caller.run,
            input_tokens: i64::try_from(tokens).unwrap_or(i64::MAX),
            output_tokens: 0,
            cost: self.settings.cost(tokens),
        };
        Ok(store::model_usage::record(&self.cx.db, self.connection.workspace, call).await?)
    }
}

/// How long a search waits after a failure that names no time, in seconds.
const RETRY_SECONDS: u32 = 5;
/// Bytes of the vectors of an answer: fewer than NATS allows in a message.
const MAX_REPLY_BYTES: usize = 512 << 10;
/// The most bytes of a number of a vector in JSON, with its comma.
const NUMBER_BYTES: usize = 16;

/// Answers queries of the API: credentials are opened in workers only.
pub async fn answer(cx: Context, query: EmbedQuery) -> EmbedReply {
    match vectors(&cx, query).await {
        Ok(reply) => reply,
        Err(JobError::Blocked { reason, delay }) => EmbedReply::Unavailable { seconds: seconds(delay), reason },
        Err(JobError::Snooze { what, delay, .. }) => {
            EmbedReply::Unavailable { seconds: seconds(delay), reason: what.to_owned() }
        }
        Err(JobError::Fail(Failure { code: FailureCode::ProviderRejected, .. })) => EmbedReply::Rejected,
        Err(JobError::Fail(failure)) => EmbedReply::Unavailable { seconds: RETRY_SECONDS, reason: failure.detail },
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a query has no vector");
            let reason = "the server of the connection is not available".to_owned();
            EmbedReply::Unavailable { seconds: RETRY_SECONDS, reason }
        }
    }
}

fn seconds(delay: Duration) -> u32 {
    u32::try_from(delay.as_secs()).unwrap_or(u32::MAX).max(1)
}

async fn vectors(cx: &Context, query: EmbedQuery) -> Result<EmbedReply, JobError> {
    let EmbedQuery { workspace, space, text, more } = query;
    let Some(space) = store::space::of_connection(&cx.db, workspace, space).await? else {
        let reason = "the space belongs to no connection of the workspace".to_owned();
        return Ok(EmbedReply::Unavailable { seconds: RETRY_SECONDS, reason });
    };
    let (embedder, connection) = EmbeddingConnection::open(cx, workspace, &space, Caller::SEARCH).await?;
    let is_single = more.is_empty();
    let vector_bytes = NUMBER_BYTES * usize::from(space.space.spec.dimensions).max(1);
    let texts = iter::once(text).chain(more).take((MAX_REPLY_BYTES / vector_bytes).max(1));
    let vectors = connection.embed(&embedder, InputType::Query, texts.collect()).await?;
    if !is_single {
        return Ok(EmbedReply::Vectors(vectors.into_iter().map(Result::ok).collect()));
    }
    Ok(match vectors.into_iter().next() {
        Some(Ok(vector)) => EmbedReply::Vector(vector),
        Some(Err(_)) | None => EmbedReply::Rejected,
    })
}

/// Checks a connection step by step, up to the first that fails: its address, and the vector of a word.
pub async fn check(cx: &Context, workspace: WorkspaceId, row: Model) -> Vec<CheckStep> {
    let opened = async {
        let connection = OpenConnection::open(cx, workspace, row).map_err(|error| error.to_string())?;
        let settings: EmbeddingSettings = connection.settings().map_err(|error| error.to_string())?;
        let credentials = connection.credentials().map_err(|error| error.to_string())?;
        let embed_settings = connection_embed_settings(&settings, credentials.as_ref(), &cx.outbound).await;
        let embed_settings = embed_settings.map_err(|failure| failure.to_string())?;
        Embedder::open(&embed_settings).await.map_err(|error| error.to_string())
    };
    let embedder = match opened.await {
        Ok(embedder) => embedder,
        Err(reason) => return vec![step("address", Err(reason))],
    };
    let answer = tokio::time::timeout(CHECK_TIMEOUT, embedder.embed(InputType::Query, vec!["word".to_owned()])).await;
    let answer = match answer {
        Ok(Ok(vectors)) => Ok(format!("the server answers with {} dimensions", vectors.first().map_or(0, Vec::len))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    vec![step("address", Ok("the address may be called".to_owned())), step("answer", answer)]
}
