//! Rerankers: one call scores some passages for a query.

use std::time::Duration;

use nvisy_shared::{
    domain::connection::{
        model::ModelCredentials,
        reranking::{RerankProvider, Reranking},
    },
    outbound::GuardedClient,
};
use serde_json::{Value, json};

use super::{ModelFailure, ProviderRequest, bearer, invalid, send, tokens};

/// The reranker of a connection.
#[derive(Clone, Debug)]
pub(crate) struct RerankClient {
    client: GuardedClient,
    reranking: Reranking,
    credentials: Option<ModelCredentials>,
}

/// The scores of passages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scores {
    /// In the order of the passages; finite numbers.
    pub scores: Vec<f64>,
    /// Tokens that the model read; `None`: the server does not count.
    pub tokens: Option<u64>,
}

impl RerankClient {
    /// The reranker of a connection.
    #[must_use]
    pub(crate) const fn new(
        client: GuardedClient,
        reranking: Reranking,
        credentials: Option<ModelCredentials>,
    ) -> Self {
        Self { client, reranking, credentials }
    }

    /// How the connection reranks.
    #[must_use]
    pub(crate) const fn reranking(&self) -> &Reranking {
        &self.reranking
    }

    /// Scores passages in one request, within `timeout`.
    ///
    /// # Errors
    /// [`ModelFailure`]; [`ModelFailure::Invalid`] unless the response has one finite score for each passage.
    pub(crate) async fn score(&self, query: &str, texts: &[&str], timeout: Duration) -> Result<Scores, ModelFailure> {
        let key = self.credentials.as_ref().map(|credentials| &credentials.api_key);
        let Reranking { provider, model, base_url, .. } = &self.reranking;
        let named = json!({ "model": model, "query": query, "documents": texts, "top_n": texts.len() });
        let (path, body): (&[&str], _) = match provider {
            RerankProvider::Cohere => (&["v2", "rerank"], named),
            RerankProvider::Jina => {
                let mut body = named;
                body["return_documents"] = false.into();
                (&["rerank"], body)
            }
            RerankProvider::Tei => (&["rerank"], json!({ "query": query, "texts": texts, "truncate": true })),
        };
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let request = ProviderRequest { path, headers: bearer(key), body };
        let body = send(&self.client, base_url.clone(), key, timeout, request).await?;
        let (items, field) = match provider {
            RerankProvider::Cohere | RerankProvider::Jina => (body.get("results"), "relevance_score"),
            RerankProvider::Tei => (Some(&body), "score"),
        };
        Ok(Scores { scores: in_order(items, field, texts.len())?, tokens: counted(&body) })
    }
}

/// The score of each passage, which the response gives in the order of scores.
fn in_order(items: Option<&Value>, field: &str, count: usize) -> Result<Vec<f64>, ModelFailure> {
    let items = items.and_then(Value::as_array).ok_or_else(|| invalid("list of results"))?;
    if items.len() != count {
        return Err(ModelFailure::Invalid(format!("it has {} scores for {count} passages", items.len())));
    }
    let mut scores = vec![None; count];
    for item in items {
        let index = item.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| scores.get_mut(index)).ok_or_else(|| invalid("index of each passage"))?;
        let score = item.get(field).and_then(Value::as_f64).filter(|score| score.is_finite());
        *place = Some(score.ok_or_else(|| invalid("number as the score of each passage"))?);
    }
    // As many results as passages: one that is missing means that another one has two.
    scores.into_iter().collect::<Option<_>>().ok_or_else(|| invalid("score of each passage"))
}

/// Tokens that the server has counted.
fn counted(body: &Value) -> Option<u64> {
    let paths = ["/usage/total_tokens", "/usage/prompt_tokens", "/meta/tokens/input_tokens"];
    paths.iter().map(|path| tokens(body, path)).find(|count| *count > 0)
}
