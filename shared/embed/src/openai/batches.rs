//! Batches that a server rejects: halved until it takes them, or until the rejected texts are found.

use std::sync::atomic::Ordering;

use super::OpenAi;
use crate::{EmbedError, Embedded};

/// A text that every embedding model takes.
const HARMLESS: &str = "water";

impl OpenAi {
    /// The vector of each text of a batch, or why the server rejects it.
    pub(super) async fn embed_batch(&self, texts: &[String], dimensions: u16) -> Result<Vec<Embedded>, EmbedError> {
        let mut results: Vec<Option<Embedded>> = vec![None; texts.len()];
        // The largest part that the server took, after it has rejected a larger one.
        let (mut taken, mut is_halved) = (0, false);
        let mut open = Vec::new();
        open.push(0..texts.len());
        while let Some(range) = open.pop() {
            match self.request(&texts[range.clone()], dimensions).await {
                Ok(vectors) => {
                    taken = taken.max(range.len());
                    for (result, vector) in results[range].iter_mut().zip(vectors) {
                        *result = Some(Ok(vector));
                    }
                }
                Err(EmbedError::Rejected(reason)) if range.len() == 1 => {
                    // Without a text that was taken, the texts may not be at fault.
                    if taken == 0 && !self.takes_harmless(dimensions).await? {
                        return Err(EmbedError::Rejected(reason));
                    }
                    taken = taken.max(1);
                    results[range.start] = Some(Err(reason));
                }
                Err(EmbedError::Rejected(_)) => {
                    is_halved = true;
                    let middle = range.start + range.len() / 2;
                    open.push(middle..range.end);
                    open.push(range.start..middle);
                }
                Err(error) => return Err(error),
            }
        }
        let results: Vec<Embedded> = results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err("the text was not embedded".into())))
            .collect();
        // A rejected text explains the rejection of its batch; without one, the batch was too large.
        if is_halved && results.iter().all(Result::is_ok) {
            self.batch.fetch_min(taken, Ordering::Relaxed);
            tracing::info!(texts = taken, "the embedding server takes no larger batches, which is remembered");
        }
        Ok(results)
    }

    async fn takes_harmless(&self, dimensions: u16) -> Result<bool, EmbedError> {
        match self.request(&[HARMLESS.to_owned()], dimensions).await {
            Ok(_) => Ok(true),
            Err(EmbedError::Rejected(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
