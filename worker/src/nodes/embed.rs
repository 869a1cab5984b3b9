//! Transform: passages to vectors.

use std::time::Duration;

use async_trait::async_trait;
use nvisy_embed::{EmbedError, Purpose};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    telemetry::metrics::metrics,
};

use super::{Artifact, Node, misfit};
use crate::{
    engine::{Effect, Scope},
    runner::JobError,
};

/// See the module.
pub(super) struct Embed;

#[async_trait]
impl Node for Embed {
    async fn run(&self, scope: &Scope<'_>, input: Artifact, _: &mut Vec<Effect>) -> Result<Artifact, JobError> {
        let Artifact::Passages(passages) = input else { return Err(misfit("embed")) };
        let (ids, texts): (Vec<_>, Vec<_>) = passages.into_iter().map(|passage| (passage.id, passage.text)).unzip();
        let embedder = &scope.cx.embedder;
        let vectors = embedder.embed(Purpose::Passage, texts).await.map_err(|error| {
            let kind = match &error {
                EmbedError::Busy { .. } => "busy",
                EmbedError::Unavailable(_) => "unavailable",
                EmbedError::Rejected(_) => "rejected",
            };
            metrics().provider_error(scope.cx.config.embedding.provider.name(), kind);
            trouble(error)
        })?;
        Ok(Artifact::Vectors(ids.into_iter().zip(vectors).collect()))
    }
}

/// A provider that says "at once" is still given a moment.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A provider may ask for any wait; longer than this it is asked again sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

fn trouble(error: EmbedError) -> JobError {
    match error {
        EmbedError::Busy { retry_after } => JobError::Busy(retry_after.clamp(SHORTEST_WAIT, LONGEST_WAIT)),
        EmbedError::Rejected(reason) => JobError::Fail(Failure::new(
            FailureCode::ProviderRejected,
            format!("the embedding provider refused: {reason}"),
        )),
        error @ EmbedError::Unavailable(_) => JobError::retry("the embedding provider cannot be reached")(error),
    }
}
