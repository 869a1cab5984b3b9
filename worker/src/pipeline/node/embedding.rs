//! Calls of the embedding model.

use std::time::Duration;

use nvisy_embed::{EmbedError, Embedder, InputType};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    telemetry::metrics::metrics,
};

use crate::runner::JobError;

/// The vectors of passages, in their order.
///
/// # Errors
/// A busy provider costs no attempt, a rejected request fails the item, and others are repeated.
pub(super) async fn embed(embedder: &Embedder, texts: Vec<String>) -> Result<Vec<Vec<f32>>, JobError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    embedder.embed(InputType::Passage, texts).await.map_err(|error| {
        let kind = match &error {
            EmbedError::Busy { .. } => "busy",
            EmbedError::Unavailable(_) => "unavailable",
            EmbedError::Rejected(_) => "rejected",
        };
        metrics().provider_error(&embedder.space().provider, kind);
        job_error(error)
    })
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
