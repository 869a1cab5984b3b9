//! Settings of an embedder.

use std::fmt;
use std::path::PathBuf;

use reqwest::Client;
use url::Url;

/// The settings of [`Embedder::open`](super::Embedder::open).
#[derive(Clone, Debug)]
pub struct EmbedSettings {
    /// The model that computes the vectors.
    pub provider: Provider,
    /// Whether the first numbers of the model's vectors are vectors, too: the model was trained for it (Matryoshka representation
    /// learning). False: vectors have the model's length only.
    pub truncatable: bool,
    /// Length of the embedder's vectors; `None`: that of the model's.
    pub dimensions: Option<u16>,
}

/// The model that computes the vectors.
#[derive(Clone, Debug)]
pub enum Provider {
    /// A model in this process.
    Local(LocalSettings),
    /// A server that speaks OpenAI's embeddings protocol.
    OpenAi(OpenAiSettings),
}

/// A model in this process.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The directory of a published BERT-family sentence encoder: `model.safetensors`, `tokenizer.json`, and the JSON files beside
    /// them. The directory's name is the model's name, and so part of the space.
    pub directory: PathBuf,
    /// Threads that compute; 0 means one per core. More threads than cores gain nothing.
    pub threads: usize,
    /// The text before a query; empty for the prefix in the model's `config_sentence_transformers.json`, if there is one.
    pub query_prefix: String,
    /// The text before a passage; empty as above.
    pub passage_prefix: String,
}

/// A server that speaks OpenAI's embeddings protocol.
#[derive(Clone, Debug)]
pub struct OpenAiSettings {
    /// The client that sends the requests. It must not follow redirects, which would send texts to another host; its timeout
    /// applies to a whole request.
    pub client: Client,
    /// The URL without `/embeddings`: `https://api.openai.com/v1`.
    pub base_url: Url,
    /// The bearer token, if the server requires one.
    pub api_key: Option<ApiKey>,
    /// The model's name at the server.
    pub model: String,
    /// Length of the model's vectors. A response with another length is an error.
    pub dimensions: u16,
    /// Whether the request names the length, so that the server cuts the vectors; many servers support a single length and reject
    /// the parameter.
    pub request_dimensions: bool,
    /// Concurrent requests, at least 1, counted separately for passages and queries.
    pub concurrency: usize,
    /// Tokens of the longest passage that the model accepts.
    pub max_tokens: usize,
    /// The largest number of texts in a request, at least 1. A server that takes fewer is found out, and remembered.
    pub batch: usize,
    /// Whether requests ask for vectors of decimal numbers. A server that rejects the parameter is asked without it.
    pub request_encoding: bool,
    /// The text before a query.
    pub query_prefix: String,
    /// The text before a passage.
    pub passage_prefix: String,
    /// The model's `tokenizer.json`. Without it token counts are estimates on the high side.
    pub tokenizer_file: Option<PathBuf>,
}

/// An API key that `Debug` does not show.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key.
    pub const fn new(key: String) -> Self {
        Self(key)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::ApiKey;

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", ApiKey::new("hunter2".into())), "[hidden]");
    }
}
