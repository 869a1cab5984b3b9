//! Connections to providers of language models.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{self, CallLimits, header_secret, model_name},
};
use crate::secret::Secret;

/// A protocol of language models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelProvider {
    /// `POST {base}/chat/completions`, of OpenAI and of every compatible server.
    OpenAi,
    /// `POST {base}/v1/messages`.
    Anthropic,
    /// `POST {base}/v1beta/models/{model}:generateContent`.
    Gemini,
    /// `POST {base}/v2/chat`.
    Cohere,
    /// `POST {base}/api/chat`.
    Ollama,
}

impl ModelProvider {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Cohere, Self::Ollama];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
        }
    }

    /// The provider of this identifier.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// The provider's own address; `None`: each user has a server.
    #[must_use]
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
            Self::Cohere => Some("https://api.cohere.com"),
            Self::Ollama => None,
        }
    }
}

/// Declares the providers of a kind of connections to servers of models: one for each protocol of an enum.
macro_rules! model_servers {
    (
        $kind:ident, $protocol:ident, $settings:ident;
        $($provider:ident, $title:literal, needs_key: $needs_key:literal, can: $capabilities:expr;)+
    ) => {
        $(
            #[doc = concat!("The provider of [`", stringify!($protocol), "::", stringify!($provider), "`].")]
            #[derive(Debug)]
            pub struct $provider;

            impl ProviderSpec for $provider {
                const NAME: &'static str = $protocol::$provider.name();
                const TITLE: &'static str = $title;
                const KIND: ConnectionKind = ConnectionKind::$kind;
                const CAPABILITIES: &'static [Capability] = $capabilities;
                const NEEDS_CREDENTIALS: bool = $needs_key;
                type Settings = $settings;
                type Credentials = ModelCredentials;

                fn settings_problems(settings: &$settings) -> Vec<InvalidSetting> {
                    settings.problems($protocol::$provider)
                }

                fn credentials_problems(credentials: &ModelCredentials) -> Vec<InvalidSetting> {
                    credentials.problems()
                }

                fn address(settings: &$settings) -> Option<Address> {
                    let url = settings.base_url($protocol::$provider)?;
                    Some(Address { field: "baseUrl", url })
                }
            }
        )+
    };
}
pub(super) use model_servers;

const ANSWERS: &[Capability] = &[Capability::Chat, Capability::Images, Capability::Json];
const ANSWERS_AND_SCORES: &[Capability] = &[Capability::Chat, Capability::Images, Capability::Json, Capability::Rerank];

model_servers! {
    Model, ModelProvider, ModelSettings;
    // Servers that are compatible with OpenAI's may require no key.
    OpenAi, "OpenAI, or a compatible server", needs_key: false, can: ANSWERS;
    Anthropic, "Anthropic", needs_key: true, can: ANSWERS;
    Gemini, "Google Gemini", needs_key: true, can: ANSWERS;
    Cohere, "Cohere", needs_key: true, can: ANSWERS_AND_SCORES;
    Ollama, "Ollama", needs_key: false, can: ANSWERS;
}

/// How a model is made to answer with JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum JsonMode {
    /// The request contains the JSON Schema.
    Schema,
    /// The request asks for a JSON object.
    #[default]
    Object,
    /// The prompt alone asks for JSON.
    Prompt,
}

/// Prices in a currency of the user's choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// The price of a million tokens that the model reads.
    #[schemars(range(min = 0, max = 100_000))]
    pub input_per_million: f64,
    /// The price of a million tokens that the model writes.
    #[schemars(range(min = 0, max = 100_000))]
    pub output_per_million: f64,
}

/// Settings of a connection to a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelSettings {
    /// The address of the server, as the provider's documentation calls the base URL. Absent: the provider's own address. Of a
    /// server that is compatible with OpenAI's, up to and including `/v1`.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// The name of the model at the provider.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// The largest number of tokens that the model reads and writes in one call. Longer texts are split.
    #[schemars(range(min = 512, max = 10_000_000))]
    #[serde(default = "default_context_tokens")]
    pub context_tokens: u32,
    /// The largest number of tokens of an answer.
    #[schemars(range(min = 16, max = 1_000_000))]
    #[serde(default = "default_max_output_tokens")]
    pub max_output_tokens: u32,
    /// The randomness of answers; absent: the provider's default.
    #[schemars(range(min = 0, max = 2))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// How the model is made to answer with JSON, where the protocol has several ways.
    #[serde(default)]
    pub json_mode: JsonMode,
    /// The longest wait for an answer, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
    /// Prices, from which costs are computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// The largest cost of a calendar month (UTC), in the currency of the prices. Beyond it runs fail with `budget_exceeded`.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<f64>,
}

const fn default_context_tokens() -> u32 {
    32_000
}

const fn default_max_output_tokens() -> u32 {
    4_096
}

const fn default_timeout() -> u32 {
    120
}

/// Credentials of a connection to a language model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelCredentials {
    /// The API key.
    #[schemars(with = "String", length(min = 1, max = 4096))]
    pub api_key: Secret<String>,
}

/// The cost of tokens at a price for a million, in millionths: that price is the price of one token in millionths.
pub(super) fn cost_of_tokens(price_per_million: f64, tokens: u64) -> i64 {
    (price_per_million * tokens as f64).ceil() as i64
}

/// The millionths of an amount of money.
#[must_use]
pub fn micros(amount: f64) -> i64 {
    // Saturates, which is far beyond every budget.
    (amount * 1_000_000.0).round() as i64
}

impl ModelSettings {
    /// The cost of a call, in millionths.
    #[must_use]
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let Some(prices) = self.prices else { return 0 };
        // A price for a million tokens is the price for one token in millionths.
        let cost = prices.input_per_million * input_tokens as f64 + prices.output_per_million * output_tokens as f64;
        cost.ceil() as i64
    }

    /// The address of the server.
    #[must_use]
    pub fn base_url(&self, provider: ModelProvider) -> Option<Url> {
        self.base_url.clone().or_else(|| provider.default_base_url()?.parse().ok())
    }

    /// Everything on which an answer depends, besides the question.
    #[must_use]
    pub fn identity(&self, provider: ModelProvider) -> String {
        let base = self.base_url(provider);
        let base = base.as_ref().map_or("", Url::as_str);
        let limits = (self.context_tokens, self.max_output_tokens);
        format!("{} {base} {} {limits:?} {:?} {:?}", provider.name(), self.model, self.temperature, self.json_mode)
    }

    fn problems(&self, provider: ModelProvider) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        let mut range = |field: &str, value: f64, min: f64, max: f64| {
            if !(min..=max).contains(&value) {
                problems.push(InvalidSetting::new(field, format!("must be between {min} and {max}")));
            }
        };
        range("contextTokens", self.context_tokens.into(), 512.0, 10_000_000.0);
        range("maxOutputTokens", self.max_output_tokens.into(), 16.0, 1_000_000.0);
        range("temperature", self.temperature.unwrap_or_default(), 0.0, 2.0);
        range("timeoutSeconds", self.timeout_seconds.into(), 1.0, 3600.0);
        range("monthlyBudget", self.monthly_budget.unwrap_or_default(), 0.0, 1e9);
        if let Some(prices) = self.prices {
            range("prices.inputPerMillion", prices.input_per_million, 0.0, 1e5);
            range("prices.outputPerMillion", prices.output_per_million, 0.0, 1e5);
        }
        self.limits.check(&mut problems);
        model_name(&mut problems, &self.model);
        if self.max_output_tokens >= self.context_tokens {
            problems.push(InvalidSetting::new("maxOutputTokens", "must be less than `contextTokens`"));
        }
        if self.monthly_budget.is_some() && self.prices.is_none() {
            problems.push(InvalidSetting::new("prices", "must be set if `monthlyBudget` is"));
        }
        limits::base_url(&mut problems, self.base_url(provider).as_ref());
        problems
    }
}

impl ModelCredentials {
    pub(super) fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        header_secret(&mut problems, "apiKey", self.api_key.expose());
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{InvalidSetting, read, validate};
    use super::*;

    fn fields(provider: &str, settings: serde_json::Value, credentials: Option<serde_json::Value>) -> Vec<String> {
        let problems = validate(provider, &settings, credentials.as_ref()).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn settings_are_checked_by_field() {
        assert_eq!(fields("openai", json!({ "model": "m" }), None), Vec::<String>::new());
        assert_eq!(fields("other", json!({}), None), ["provider"]);
        assert_eq!(fields("ollama", json!({ "model": "m" }), None), ["settings.baseUrl"]);
        assert_eq!(fields("openai", json!({}), None), ["settings"]);
        assert_eq!(fields("openai", json!({ "model": "m", "baseUrl": "file:///etc" }), None), ["settings.baseUrl"]);
        assert_eq!(fields("openai", json!({ "model": "m", "baseUrl": "http://a:b@c" }), None), ["settings.baseUrl"]);
        let settings = json!({ "model": "", "temperature": 3, "monthlyBudget": 1, "contextTokens": 600 });
        let expected = ["temperature", "model", "maxOutputTokens", "prices"].map(|field| format!("settings.{field}"));
        assert_eq!(fields("openai", settings, Some(json!({ "apiKey": "a b" }))), {
            let mut all = expected.to_vec();
            all.push("credentials.apiKey".to_owned());
            all
        });
    }

    #[test]
    fn messages_quote_no_value() {
        let InvalidSetting { field, message } = read::<ModelCredentials>(&json!({ "apiKey": 4711 })).unwrap_err();
        assert_eq!(field, "apiKey");
        assert!(!message.contains("4711"), "{message}");
        let debug = format!("{:?}", read::<ModelCredentials>(&json!({ "apiKey": "hunter2" })).unwrap());
        assert!(!debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn cost_is_rounded_up_to_millionths() {
        let prices = Some(Prices { input_per_million: 2.5, output_per_million: 10.0 });
        let settings: ModelSettings = read(&json!({ "model": "m" })).unwrap();
        assert_eq!(settings.cost(1000, 1000), 0);
        let settings = ModelSettings { prices, ..settings };
        assert_eq!(settings.cost(1000, 100), 3500);
        assert_eq!(settings.cost(1, 0), 3);
        assert_eq!(micros(1.25), 1_250_000);
    }
}
