//! A client of OpenAI's embeddings protocol: `POST {base}/embeddings`.

mod response;
#[cfg(test)]
mod tests;

use futures::future::try_join_all;
use reqwest::{Client, Response, Url};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::tokenizer::Tokenizer;
use super::{ApiKey, Backend, EmbedError, Inner, InputType, OpenAiSettings, OpenEmbedderError, SpaceSpec};

/// The longest response that is accepted: 2,048 vectors (OpenAI's maximum) of 4,096 numbers in decimal.
const RESPONSE_LIMIT_BYTES: usize = 192 << 20;
/// The part of an error response that is read for its message.
const ERROR_BODY_LIMIT_BYTES: usize = 16 << 10;

/// A server and the fixed parts of its requests.
pub(super) struct OpenAi {
    client: Client,
    url: Url,
    api_key: Option<ApiKey>,
    model: String,
    dimensions: u16,
    request_dimensions: bool,
    batch: usize,
    passages: Semaphore,
    /// Queries have their own permits, so that they never wait behind passages.
    queries: Semaphore,
}

#[derive(Serialize)]
struct EmbeddingsRequest<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u16>,
}

/// Checks the settings; calls no server.
pub(super) fn open(settings: &OpenAiSettings) -> Result<Inner, OpenEmbedderError> {
    for (name, value) in [
        ("dimensions", usize::from(settings.dimensions)),
        ("batch", settings.batch),
        ("concurrency", settings.concurrency),
        ("max_tokens", settings.max_tokens),
    ] {
        if value == 0 {
            return Err(OpenEmbedderError::Setting(format!("{name} must be at least 1")));
        }
    }
    let mut url = settings.base_url.clone();
    url.path_segments_mut()
        .map_err(|()| OpenEmbedderError::Setting(format!("{} is not a base URL", settings.base_url)))?
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
    let max_tokens =
        settings.max_tokens.checked_sub(taken).filter(|left| *left > 0).ok_or_else(|| {
            OpenEmbedderError::Setting(format!("the prefix takes all of {} tokens", settings.max_tokens))
        })?;
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
    Ok(Inner { space, max_tokens, tokenizer, backend: Backend::OpenAi(Box::new(openai)) })
}

impl OpenAi {
    pub(super) async fn embed(&self, input_type: InputType, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let permits = match input_type {
            InputType::Query => &self.queries,
            InputType::Passage => &self.passages,
        };
        let batches = texts.chunks(self.batch).map(async |batch| {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            self.request(batch).await
        });
        Ok(try_join_all(batches).await?.concat())
    }

    async fn request(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut request = self.client.post(self.url.clone()).json(&EmbeddingsRequest {
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
            let body = read(response, RESPONSE_LIMIT_BYTES).await?;
            return response::vectors(&body, texts.len(), usize::from(self.dimensions));
        }
        let retry_after = response::retry_after(response.headers());
        // If the message does not arrive, the status is enough.
        let body = read(response, ERROR_BODY_LIMIT_BYTES).await.unwrap_or_default();
        Err(response::status_error(status, retry_after, &body))
    }
}

/// Reads the body. A body longer than `limit` is an error, so that a faulty server cannot fill the memory.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, EmbedError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(EmbedError::Unavailable(format!("the server's response is longer than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error of a response that did not arrive whole. It leaves out the URL, which may contain a key.
fn unreachable(error: reqwest::Error) -> EmbedError {
    let reason = if error.is_timeout() {
        "the server did not respond in time"
    } else if error.is_connect() {
        "no connection to the server"
    } else {
        "the connection to the server broke"
    };
    tracing::debug!(error = &error.without_url() as &dyn std::error::Error, "{reason}");
    EmbedError::Unavailable(reason.into())
}
