//! Clients of language models: one call is one question and one answer, in the protocol of the connection's provider; and of
//! rerankers.
//!
//! Each protocol is a file that makes the request and reads the response. Sending, limits, and what failures mean are the same for
//! all of them, and here.

mod anthropic;
mod cohere;
pub(crate) mod failure;
mod gemini;
mod ollama;
mod openai;
pub(crate) mod rerank;
#[cfg(test)]
mod rerank_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use nvisy_shared::{
    domain::connection::model::{JsonMode, ModelCredentials, ModelProvider, ModelSettings},
    outbound::GuardedClient,
    secret::Secret,
};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

pub use failure::ModelFailure;

/// Largest response; an answer of a million tokens is smaller.
const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// A question to a model.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The task.
    pub system: String,
    /// The exchange, which begins with the user and ends with the user.
    pub turns: Vec<Turn>,
    /// An image that the first turn is about.
    pub image: Option<Image>,
    /// The JSON Schema of the answer; without one, the answer is text.
    pub schema: Option<Value>,
    /// The largest number of tokens of the answer.
    pub max_tokens: u32,
}

/// A part of the exchange.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whether the model said it.
    pub model: bool,
    /// The text.
    pub text: String,
}

impl Turn {
    /// A turn of the user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { model: false, text: text.into() }
    }

    /// A turn of the model.
    #[must_use]
    pub fn model(text: impl Into<String>) -> Self {
        Self { model: true, text: text.into() }
    }

    /// The name of the role, in most protocols.
    const fn role(&self) -> &'static str {
        if self.model { "assistant" } else { "user" }
    }
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The media type.
    pub media_type: String,
    /// The bytes in Base64.
    pub base64: String,
}

/// An answer of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Tokens that the model read.
    pub input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
    /// Whether the answer ends because it reached its largest number of tokens.
    pub is_cut: bool,
}

/// A request in the protocol of a provider.
struct ProviderRequest {
    /// The path below the base URL.
    path: Vec<String>,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

/// A model of a connection.
#[derive(Clone, Debug)]
pub struct ModelClient {
    client: GuardedClient,
    provider: ModelProvider,
    settings: ModelSettings,
    credentials: Option<ModelCredentials>,
}

impl ModelClient {
    /// The model of a connection.
    #[must_use]
    pub const fn new(
        client: GuardedClient,
        provider: ModelProvider,
        settings: ModelSettings,
        credentials: Option<ModelCredentials>,
    ) -> Self {
        Self { client, provider, settings, credentials }
    }

    /// The settings of the connection.
    #[must_use]
    pub const fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// Asks a question. A server that rejects the parameter for JSON is asked once more without it.
    ///
    /// # Errors
    /// [`ModelFailure`] says whether waiting, or a change of the connection, helps.
    pub async fn ask(&self, question: &Question) -> Result<Completion, ModelFailure> {
        let mode = self.settings.json_mode;
        match self.ask_in(question, mode).await {
            Err(ModelFailure::Rejected(reason)) if mode != JsonMode::Prompt && is_about_json_mode(&reason) => {
                tracing::debug!("the server rejects the parameter for JSON");
                self.ask_in(question, JsonMode::Prompt).await
            }
            answer => answer,
        }
    }

    async fn ask_in(&self, question: &Question, mode: JsonMode) -> Result<Completion, ModelFailure> {
        let key = self.credentials.as_ref().map(|credentials| &credentials.api_key);
        let request = match self.provider {
            ModelProvider::OpenAi => openai::request(&self.settings, key, question, mode),
            ModelProvider::Anthropic => anthropic::request(&self.settings, key, question),
            ModelProvider::Gemini => gemini::request(&self.settings, key, question, mode),
            ModelProvider::Cohere => cohere::request(&self.settings, key, question, mode),
            ModelProvider::Ollama => ollama::request(&self.settings, key, question, mode),
        };
        let body = self.send(request).await?;
        let answer = match self.provider {
            ModelProvider::OpenAi => openai::answer(&body),
            ModelProvider::Anthropic => anthropic::answer(&body),
            ModelProvider::Gemini => gemini::answer(&body),
            ModelProvider::Cohere => cohere::answer(&body),
            ModelProvider::Ollama => ollama::answer(&body),
        };
        answer.map_err(|failure| failure.redacted(key))
    }

    /// The JSON of a successful response.
    async fn send(&self, request: ProviderRequest) -> Result<Value, ModelFailure> {
        let key = self.credentials.as_ref().map(|credentials| &credentials.api_key);
        let timeout = Duration::from_secs(self.settings.timeout_seconds.into());
        send(&self.client, self.settings.base_url(self.provider), key, timeout, request).await
    }
}

/// Sends a request to a server; returns the JSON of a successful response.
async fn send(
    client: &GuardedClient,
    base_url: Option<Url>,
    key: Option<&Secret<String>>,
    timeout: Duration,
    request: ProviderRequest,
) -> Result<Value, ModelFailure> {
    let missing = || ModelFailure::Blocked("the connection has no address".to_owned());
    let mut url = base_url.ok_or_else(missing)?;
    url.path_segments_mut().map_err(|()| missing())?.pop_if_empty().extend(&request.path);
    let mut builder = client.request(Method::POST, url).timeout(timeout).json(&request.body);
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    let response = client.send(builder, MAX_RESPONSE_BYTES).await.map_err(ModelFailure::from)?;
    if !response.status.is_success() {
        return Err(failure::of_status(response.status, &response.headers, &response.body).redacted(key));
    }
    parse(&response.body)
}

/// The JSON of a body, which some servers begin with a byte order mark.
fn parse(body: &[u8]) -> Result<Value, ModelFailure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).map_err(|_| ModelFailure::Invalid("it is not JSON".to_owned()))
}

/// Whether a rejection is about the parameter that asks for JSON, which not every compatible server knows.
fn is_about_json_mode(reason: &str) -> bool {
    ["response_format", "json_schema", "json_object", "responseMimeType", "responseJsonSchema"]
        .iter()
        .any(|name| reason.contains(name))
}

/// The header of a bearer token, if there is a key.
fn bearer(key: Option<&Secret<String>>) -> Vec<(&'static str, String)> {
    key.map(|key| ("authorization", format!("Bearer {}", key.expose()))).into_iter().collect()
}

/// The failure of a response that lacks something.
fn invalid(what: &str) -> ModelFailure {
    ModelFailure::Invalid(format!("it has no {what}"))
}

/// A count of tokens; servers that count none give 0.
fn tokens(of: &Value, path: &str) -> u64 {
    of.pointer(path).and_then(|count| count.as_u64().or_else(|| count.as_f64().map(|count| count as u64))).unwrap_or(0)
}

/// The texts of a list of parts, joined.
fn joined(parts: Option<&Value>) -> String {
    let texts = parts.and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(|part| part.get("text")?.as_str()).collect()
}

/// Sets a field, if there is a value. Unlike `json!`, it does not copy the value: a request with an image has megabytes.
fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}

/// The messages of a question, in the form of OpenAI's protocol.
fn messages(question: &Question) -> Vec<Value> {
    let mut messages = vec![message("system", question.system.as_str())];
    for (place, turn) in question.turns.iter().enumerate() {
        let content = match question.image.as_ref().filter(|_| place == 0) {
            None => turn.text.as_str().into(),
            Some(image) => {
                let mut url = json!({});
                set(&mut url, "url", Some(format!("data:{};base64,{}", image.media_type, image.base64).into()));
                let mut part = json!({ "type": "image_url" });
                set(&mut part, "image_url", Some(url));
                Value::Array(vec![json!({ "type": "text", "text": turn.text }), part])
            }
        };
        messages.push(message(turn.role(), content));
    }
    messages
}

/// A message of the form that most protocols share.
fn message(role: &str, content: impl Into<Value>) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), role.into());
    message.insert("content".to_owned(), content.into());
    Value::Object(message)
}
