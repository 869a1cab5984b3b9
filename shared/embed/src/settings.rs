//! Which model to open, and how.

use std::fmt;
use std::path::PathBuf;

use reqwest::Client;
use url::Url;

/// What [`Embedder::open`](super::Embedder::open) needs to know.
#[derive(Clone, Debug)]
pub struct EmbedSettings {
    /// Where vectors come from.
    pub provider: Provider,
}

/// Where vectors come from.
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
    /// A published BERT-family sentence encoder: `model.safetensors`, `tokenizer.json`, and the JSON files beside them. The
    /// directory's name is the model's name, and so part of the space.
    pub directory: PathBuf,
    /// Threads that compute; 0 for one a core. More than there are cores gains nothing.
    pub threads: usize,
    /// Put before a query; empty for what the model's directory says (`config_sentence_transformers.json`), if anything.
    pub query_prefix: String,
    /// Put before a passage; empty as above.
    pub passage_prefix: String,
}

/// A server that speaks OpenAI's embeddings protocol.
#[derive(Clone, Debug)]
pub struct OpenAiSettings {
    /// Sends the requests. It follows no redirect, which would carry texts to a host that was not named, and its timeout is for a
    /// whole request.
    pub client: Client,
    /// Up to, and without, `/embeddings`: `https://api.openai.com/v1`.
    pub base_url: Url,
    /// Sent as a bearer token, if the server wants one.
    pub api_key: Option<ApiKey>,
    /// The model's name at the server.
    pub model: String,
    /// Length of a vector. An answer of another length is an error.
    pub dimensions: u16,
    /// Whether to ask the server for that length; many servers know only one and refuse the question.
    pub request_dimensions: bool,
    /// Requests under way at once, at least 1; passages and queries are counted apart.
    pub concurrency: usize,
    /// Tokens of the longest passage the model takes.
    pub max_tokens: usize,
    /// Texts in a request, at least 1.
    pub batch: usize,
    /// Put before a query.
    pub query_prefix: String,
    /// Put before a passage.
    pub passage_prefix: String,
    /// A `tokenizer.json` of the model. Without it token counts are a cautious estimate.
    pub tokenizer_file: Option<PathBuf>,
}

/// A key of the server, which `Debug` does not show.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Hides the key.
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
