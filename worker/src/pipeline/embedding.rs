//! Calls of the embedding model.

use std::time::Duration;

use nvisy_embed::{EmbedError, Embedded, Embedder, InputType};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    telemetry::metrics::metrics,
};

use super::spaces::OpenSpace;
use crate::runner::JobError;

/// The vectors of texts in their order, or why the provider rejects one: the others are not lost with it.
///
/// # Errors
/// A busy provider costs no attempt, a rejected request fails the item, and others are repeated.
pub(super) async fn embed(
    embedder: &Embedder,
    input_type: InputType,
    texts: Vec<String>,
) -> Result<Vec<Embedded>, JobError> {
    embedder.embed_each(input_type, texts).await.map_err(|error| {
        count_error(&embedder.space().provider, &error);
        job_error(&embedder.space().model, error)
    })
}

/// Counts a failed call. The installation's models go by the name of their provider, which alerts watch; those of connections by
/// another one, because a tenant is responsible for their keys.
pub(super) fn count_error(provider: &str, error: &EmbedError) {
    let kind = match error {
        EmbedError::Busy { .. } => "busy",
        EmbedError::Unavailable(_) => "unavailable",
        EmbedError::Blocked(_) => "blocked",
        EmbedError::Rejected(_) => "rejected",
    };
    metrics().provider_error(provider, kind);
}

/// The vector of a passage that the provider rejects whole: the mean of the vectors of its parts, if it takes those. Some providers
/// count more tokens than the estimate.
///
/// # Errors
/// As [`embed`].
pub(super) async fn embed_in_parts(space: &OpenSpace, text: &str) -> Result<Option<Vec<f32>>, JobError> {
    for parts in [2, 4] {
        let texts: Vec<String> = super::node::windows::windows(text, text.len().div_ceil(parts).max(MIN_PART_BYTES))
            .into_iter()
            .map(|window| text[window].to_owned())
            .filter(|part| !part.trim().is_empty())
            .collect();
        if texts.len() < 2 {
            return Ok(None);
        }
        let vectors: Result<Vec<Vec<f32>>, String> = space.embed(texts).await?.into_iter().collect();
        if let Ok(vectors) = vectors {
            return Ok(mean(&vectors));
        }
    }
    Ok(None)
}

/// The vector of a passage that is longer than the model reads: the mean of the vectors of parts that it reads whole.
///
/// # Errors
/// As [`embed`].
pub(super) async fn embed_long(space: &OpenSpace, text: &str) -> Result<Embedded, JobError> {
    let (tokens, max) = (space.embedder().tokenizer().count(text), space.embedder().max_tokens());
    // Tokens are not spread evenly.
    let parts = tokens.div_ceil(max.max(1)) + 1;
    let windows = super::node::windows::windows(text, text.len().div_ceil(parts).max(MIN_PART_BYTES)).into_iter();
    let texts = windows.map(|window| text[window].to_owned()).filter(|part| !part.trim().is_empty()).collect();
    let vectors: Result<Vec<Vec<f32>>, String> = space.embed(texts).await?.into_iter().collect();
    Ok(vectors.and_then(|vectors| mean(&vectors).ok_or_else(|| "its parts have no common direction".to_owned())))
}

/// The direction of several vectors together; `None`: they have none.
fn mean(vectors: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f32; vectors.first()?.len()];
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += number);
    }
    let length = sum.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
    length.is_normal().then(|| sum.iter().map(|number| (f64::from(*number) / length) as f32).collect())
}

/// The shortest part of a passage, in bytes.
const MIN_PART_BYTES: usize = 16;
/// Shortest wait for a busy provider, also when it requests none.
pub(super) const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Longest wait for a busy provider, however long a wait it requests.
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(600);
/// How long work waits for an operator to correct the settings.
const BLOCKED_DELAY: Duration = Duration::from_secs(60);

fn job_error(model: &str, error: EmbedError) -> JobError {
    let reason = format!("model `{model}`: {error}");
    match error {
        EmbedError::Busy { retry_after, .. } => {
            JobError::Blocked { reason, delay: retry_after.clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY) }
        }
        EmbedError::Blocked(_) => {
            tracing::error!(reason, "an embedding provider rejects the settings, and files wait");
            JobError::Blocked { reason, delay: BLOCKED_DELAY }
        }
        EmbedError::Rejected(reason) => rejected(&reason),
        error @ EmbedError::Unavailable(_) => JobError::retry("the embedding provider cannot be reached")(error),
    }
}

/// A request that is rejected whenever it is sent.
pub(super) fn rejected(reason: &str) -> JobError {
    let detail = format!("the embedding provider rejected the request: {reason}");
    JobError::Fail(Failure::new(FailureCode::ProviderRejected, detail))
}

#[cfg(test)]
mod tests {
    #[test]
    fn mean_has_length_one_and_opposite_vectors_have_none() {
        let vectors = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let mean = super::mean(&vectors).unwrap();
        assert!((mean[0] - 0.5_f32.sqrt()).abs() < 1e-6 && (mean[1] - mean[0]).abs() < 1e-6);
        assert_eq!(super::mean(&[vec![1.0], vec![-1.0]]), None);
        assert_eq!(super::mean(&[]), None);
    }
}
