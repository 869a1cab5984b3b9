//! A client of OpenAI's embeddings protocol: `POST {base}/embeddings`.

mod batches;
mod response;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::try_join_all;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use reqwest::{Client, Response, Url};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::tokenizer::Tokenizer;
use super::{ApiKey, Backend, EmbedError, Embedded, InputType, Model, OpenAiSettings, OpenModelError, SpaceSpec};

/// The longest response that is accepted: 2,048 vectors (OpenAI's maximum) of 4,096 numbers in decimal.
const RESPONSE_LIMIT_BYTES: usize = 192 << 20;
/// The part of an error response that is read for its message.
const ERROR_BODY_LIMIT_BYTES: usize = 16 << 10;
/// How the errors of a tunnel through a proxy begin; the library exports no type of them.
const TUNNEL_ERROR: &str = "tunnel error: ";
/// How the error of a proxy goes on that does not accept the credentials.
const TUNNEL_UNAUTHORIZED: &str = "proxy authorization required";
/// Longest chain of causes that is read.
const MAX_CAUSES: usize = 16;

/// A server and the fixed parts of its requests.
pub(super) struct OpenAi {
    client: Client,
    url: Url,
    api_key: Option<ApiKey>,
    model: String,
    dimensions: u16,
    request_dimensions: bool,
    /// The largest number of texts in a request: that of the settings, or fewer where the server has rejected more.
    batch: AtomicUsize,
    /// Whether requests ask for decimal numbers; false once the server has rejected that.
    request_encoding: AtomicBool,
    passages: Semaphore,
    /// Queries have their own permits, so that they never wait behind passages.
    queries: Semaphore,
}

#[derive(Serialize)]
struct EmbeddingsRequest<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u16>,
}

/// Checks the settings; calls no server.
pub(super) fn open(settings: &OpenAiSettings) -> Result<Model, OpenModelError> {
    for (name, value) in [
        ("dimensions", usize::from(settings.dimensions)),
        ("batch", settings.batch),
        ("concurrency", settings.concurrency),
        ("max_tokens", settings.max_tokens),
    ] {
        if value == 0 {
            return Err(OpenModelError::Setting(format!("{name} must be at least 1")));
        }
    }
    let mut url = settings.base_url.clone();
    url.path_segments_mut()
        .map_err(|()| OpenModelError::Setting(format!("{} is not a base URL", settings.base_url)))?
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
            OpenModelError::Setting(format!("the prefix takes all of {} tokens", settings.max_tokens))
        })?;
    let openai = OpenAi {
        client: settings.client.clone(),
        url,
        api_key: settings.api_key.clone(),
        model: settings.model.clone(),
        dimensions: settings.dimensions,
        request_dimensions: settings.request_dimensions,
        batch: AtomicUsize::new(settings.batch),
        request_encoding: AtomicBool::new(settings.request_encoding),
        passages: Semaphore::new(settings.concurrency),
        queries: Semaphore::new(settings.concurrency),
    };
    Ok(Model { space, truncatable: false, max_tokens, tokenizer, backend: Backend::OpenAi(Box::new(openai)) })
}

impl OpenAi {
    /// The vector of each text, or why the server rejects it. It has `dimensions` where requests name them, otherwise all of the
    /// model's.
    pub(super) async fn embed(
        &self,
        input_type: InputType,
        texts: Vec<String>,
        dimensions: u16,
    ) -> Result<Vec<Embedded>, EmbedError> {
        let permits = match input_type {
            InputType::Query => &self.queries,
            InputType::Passage => &self.passages,
        };
        let size = self.batch.load(Ordering::Relaxed);
        let batches = texts.chunks(size).map(async |batch| {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            self.embed_batch(batch, dimensions).await
        });
        Ok(try_join_all(batches).await?.concat())
    }

    /// One request. A server that rejects it is asked once more without the parameter that not every server knows.
    async fn request(&self, texts: &[String], dimensions: u16) -> Result<Vec<Vec<f32>>, EmbedError> {
        let encoding = self.request_encoding.load(Ordering::Relaxed);
        match self.send(texts, encoding, dimensions).await {
            Err(EmbedError::Rejected(reason)) if encoding => match self.send(texts, false, dimensions).await {
                Ok(vectors) => {
                    tracing::info!(
                        reason,
                        "the embedding server rejects `encoding_format`, which is left out from now on"
                    );
                    self.request_encoding.store(false, Ordering::Relaxed);
                    Ok(vectors)
                }
                Err(EmbedError::Rejected(_)) => Err(EmbedError::Rejected(reason)),
                Err(error) => Err(error),
            },
            result => result,
        }
    }

    async fn send(&self, texts: &[String], encoding: bool, dimensions: u16) -> Result<Vec<Vec<f32>>, EmbedError> {
        let requested = self.request_dimensions.then_some(dimensions);
        let body = EmbeddingsRequest {
            model: &self.model,
            input: texts,
            encoding_format: encoding.then_some("float"),
            dimensions: requested,
        };
        let mut request = self.client.post(self.url.clone()).header(ACCEPT_ENCODING, "gzip, deflate").json(&body);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = read(response, RESPONSE_LIMIT_BYTES).await?;
            let body = decompressed(&headers, body)?;
            return response::vectors(&body, texts.len(), usize::from(requested.unwrap_or(self.dimensions)))
                .map_err(|error| self.redact(error));
        }
        let retry_after = response::retry_after(&headers);
        // If the message does not arrive, the status is enough.
        let body = read(response, ERROR_BODY_LIMIT_BYTES).await.unwrap_or_default();
        let body = decompressed(&headers, body).unwrap_or_default();
        Err(self.redact(response::status_error(status, retry_after, &body)))
    }

    /// The error without the key, which some servers quote.
    fn redact(&self, error: EmbedError) -> EmbedError {
        let Some(key) = self.api_key.as_ref().map(ApiKey::expose).filter(|key| !key.is_empty()) else { return error };
        let hide = |text: String| text.replace(key, "[hidden]");
        match error {
            EmbedError::Busy { retry_after, reason } => EmbedError::Busy { retry_after, reason: hide(reason) },
            EmbedError::Blocked(reason) => EmbedError::Blocked(hide(reason)),
            EmbedError::Unavailable(reason) => EmbedError::Unavailable(hide(reason)),
            EmbedError::Rejected(reason) => EmbedError::Rejected(hide(reason)),
        }
    }
}

/// The body as it was before its compression, which some servers apply without being asked, and some do not declare.
fn decompressed(headers: &HeaderMap, body: Vec<u8>) -> Result<Vec<u8>, EmbedError> {
    use std::io::Read;

    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut plain = Vec::new();
    let limit = RESPONSE_LIMIT_BYTES as u64 + 1;
    let read = if body.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(body.as_slice()).take(limit).read_to_end(&mut plain)
    } else if encoding.eq_ignore_ascii_case("deflate") && body.first().is_some_and(|byte| byte & 0x0f == 8) {
        flate2::read::ZlibDecoder::new(body.as_slice()).take(limit).read_to_end(&mut plain)
    } else {
        return Ok(body);
    };
    match read {
        Ok(length) if length > RESPONSE_LIMIT_BYTES => {
            Err(EmbedError::Unavailable(format!("the server's response is longer than {RESPONSE_LIMIT_BYTES} bytes")))
        }
        Ok(_) => Ok(plain),
        Err(_) => Err(EmbedError::Unavailable("the compression of the server's response is damaged".into())),
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

/// The fault of a tunnel through a proxy.
fn tunnel_fault(error: &reqwest::Error) -> Option<String> {
    let causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| (*error).source());
    causes.take(MAX_CAUSES).find_map(|cause| cause.to_string().strip_prefix(TUNNEL_ERROR).map(str::to_owned))
}

/// The error of a response that did not arrive whole. It leaves out the URL, which may contain a key.
fn unreachable(error: reqwest::Error) -> EmbedError {
    let is_connect = error.is_connect();
    let tunnel = tunnel_fault(&error).filter(|_| is_connect);
    let reason = match tunnel.as_deref() {
        _ if error.is_timeout() => "the server did not respond in time",
        Some(TUNNEL_UNAUTHORIZED) => response::PROXY_UNAUTHORIZED,
        Some(_) => "the operator's proxy opens no connection to the server",
        None if is_connect => "no connection to the server",
        None => "the connection to the server broke",
    };
    tracing::debug!(error = &error.without_url() as &dyn std::error::Error, "{reason}");
    if reason == response::PROXY_UNAUTHORIZED {
        EmbedError::Blocked(reason.into())
    } else {
        EmbedError::Unavailable(reason.into())
    }
}
