//! Transform: passages to vectors.

use std::time::Duration;

use async_trait::async_trait;
use nvisy_embed::{EmbedError, InputType};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    telemetry::metrics::metrics,
};

use crate::{
    pipeline::{
        artifact::Artifact,
        contract::{Effect, Node, Scope, wrong_input},
    },
    runner::JobError,
};

/// See the module.
pub(super) struct EmbedNode;

#[async_trait]
impl Node for EmbedNode {
    async fn run(&self, scope: &Scope<'_>, input: Artifact, _: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let Artifact::Passages(passages) = input else { return Err(wrong_input("embed")) };
        let (ids, texts): (Vec<_>, Vec<_>) = passages.into_iter().map(|passage| (passage.id, passage.text)).unzip();
        let embedder = &scope.cx.embedder;
        let vectors = embedder.embed(InputType::Passage, texts).await.map_err(|error| {
            let kind = match &error {
                EmbedError::Busy { .. } => "busy",
                EmbedError::Unavailable(_) => "unavailable",
                EmbedError::Rejected(_) => "rejected",
            };
            metrics().provider_error(scope.cx.config.embedding.provider.name(), kind);
            job_error(error)
        })?;
        Ok(Artifact::Vectors(ids.into_iter().zip(vectors).collect()))
    }
}

/// Shortest wait for a busy provider, also when it requests none.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Longest wait for a busy provider, however long a wait it requests.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(600);

fn job_error(error: EmbedError) -> JobError {
    match error {
        EmbedError::Busy { retry_after } => JobError::Snooze {
            what: "the provider is busy",
            delay: retry_after.clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY),
            source: None,
        },
        EmbedError::Rejected(reason) => JobError::Fail(Failure::new(
            FailureCode::ProviderRejected,
            format!("the embedding provider rejected the request: {reason}"),
        )),
        error @ EmbedError::Unavailable(_) => JobError::retry("the embedding provider cannot be reached")(error),
    }
}
