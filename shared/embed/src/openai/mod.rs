//! Any server that speaks OpenAI's embeddings protocol: `POST {base}/embeddings`.

mod answer;
#[cfg(test)]
mod tests;

use futures::future::try_join_all;
use reqwest::{Client, Response, Url};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::tokenizer::Tokenizer;
use super::{ApiKey, EmbedError, Engine, Inner, OpenAiSettings, OpenError, Purpose, SpaceSpec};

/// An answer longer than this is not read to its end: 2,048 vectors (OpenAI's most) of 4,096 numbers written out.
const LONGEST_ANSWER: usize = 192 << 20;
/// Of a refusal, this much is read for its message.
const LONGEST_REFUSAL: usize = 16 << 10;

/// A server and what is sent to it.
pub(super) struct OpenAi {
    client: Client,
    url: Url,
    api_key: Option<ApiKey>,
    model: String,
    dimensions: u16,
    request_dimensions: bool,
    batch: usize,
    passages: Semaphore,
    /// Queries have permits of their own, so that they never wait behind passages.
    queries: Semaphore,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u16>,
}

/// Checks the settings; calls no server.
pub(super) fn open(settings: &OpenAiSettings) -> Result<Inner, OpenError> {
    for (name, value) in [
        ("dimensions", usize::from(settings.dimensions)),
        ("batch", settings.batch),
        ("concurrency", settings.concurrency),
        ("max_tokens", settings.max_tokens),
    ] {
        if value == 0 {
            return Err(OpenError::Setting(format!("{name} must be at least 1")));
        }
    }
    let mut url = settings.base_url.clone();
    url.path_segments_mut()
        .map_err(|()| OpenError::Setting(format!("{} is no base for an address", settings.base_url)))?
        .pop_if_empty()
        .push("embeddings");
    let tokenizer = match &settings.tokenizer_file {
        Some(file) => Tokenizer::from_file(file)?,
        None => Tokenizer::estimate(),
    };
    let space = SpaceSpec {
        provider: "openai".into(),
        model: settings.model.clone(),
        dimensions: settings.dimensions,
        query_prefix: settings.query_prefix.clone(),
        passage_prefix: settings.passage_prefix.clone(),
    };
    let taken = tokenizer.specials() + tokenizer.count(&space.passage_prefix);
    let max_tokens = settings
        .max_tokens
        .checked_sub(taken)
        .filter(|left| *left > 0)
        .ok_or_else(|| OpenError::Setting(format!("the prefix takes all of {} tokens", settings.max_tokens)))?;
    let openai = OpenAi {
        client: settings.client.clone(),
        url,
        api_key: settings.api_key.clone(),
        model: settings.model.clone(),
        dimensions: settings.dimensions,
        request_dimensions: settings.request_dimensions,
        batch: settings.batch,
        passages: Semaphore::new(settings.concurrency),
        queries: Semaphore::new(settings.concurrency),
    };
    Ok(Inner { space, max_tokens, tokenizer, engine: Engine::OpenAi(Box::new(openai)) })
}

impl OpenAi {
    pub(super) async fn embed(&self, purpose: Purpose, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let permits = match purpose {
            Purpose::Query => &self.queries,
            Purpose::Passage => &self.passages,
        };
        let batches = texts.chunks(self.batch).map(async |batch| {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            self.request(batch).await
        });
        Ok(try_join_all(batches).await?.concat())
    }

    async fn request(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut request = self.client.post(self.url.clone()).json(&Request {
            model: &self.model,
            input: texts,
            encoding_format: "float",
            dimensions: self.request_dimensions.then_some(self.dimensions),
        });
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            let body = read(response, LONGEST_ANSWER).await?;
            return answer::vectors(&body, texts.len(), usize::from(self.dimensions));
        }
        let patience = answer::retry_after(response.headers());
        // The status says enough if the message does not arrive.
        let body = read(response, LONGEST_REFUSAL).await.unwrap_or_default();
        Err(answer::refusal(status, patience, &body))
    }
}

/// The body, which is an error if it is longer than `limit`: a server gone wild must not fill the memory.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, EmbedError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > limit {
            return Err(EmbedError::Unavailable(format!("the server's answer is longer than {limit} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A failure before there was a whole answer. The address is left out: it may carry a key.
fn unreachable(error: reqwest::Error) -> EmbedError {
    let reason = if error.is_timeout() {
        "the server did not answer in time"
    } else if error.is_connect() {
        "no connection to the server"
    } else {
        "the connection to the server broke"
    };
    tracing::debug!(error = &error.without_url() as &dyn std::error::Error, "{reason}");
    EmbedError::Unavailable(reason.into())
}
