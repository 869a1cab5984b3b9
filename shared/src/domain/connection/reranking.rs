//! Connections that rerank passages: those to reranking servers, and those to language models whose provider can rerank as well.

use std::time::Duration;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{self, CallLimits, model_name, range},
    model::{ModelCredentials, ModelProvider, ModelSettings, cost_of_tokens, model_servers},
    setting::read,
};

/// Passages that a search sends to a reranker at most.
pub const MAX_CANDIDATES: u32 = 100;
/// Passages that a search sends to a reranker unless its request says otherwise.
pub const DEFAULT_CANDIDATES: u32 = 50;
/// The longest wait of a search for a provider of language models, whose own time limit is that of long answers.
const MODEL_TIMEOUT_SECONDS: u32 = 10;

/// A protocol of rerankers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerankProvider {
    /// `POST {base}/v2/rerank`.
    Cohere,
    /// `POST {base}/rerank`, of Jina and of every compatible server.
    Jina,
    /// `POST {base}/rerank` of Text Embeddings Inference.
    Tei,
}

impl RerankProvider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cohere, Self::Jina, Self::Tei];

    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cohere => ModelProvider::Cohere.name(),
            Self::Jina => "jina",
            Self::Tei => "tei",
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
            Self::Cohere => ModelProvider::Cohere.default_base_url(),
            Self::Jina => Some("https://api.jina.ai/v1"),
            Self::Tei => None,
        }
    }

    /// Passages in a request, unless the connection says otherwise.
    const fn request_texts(self) -> u32 {
        match self {
            Self::Cohere | Self::Jina => MAX_CANDIDATES,
            // The server rejects more by default.
            Self::Tei => 32,
        }
    }
}

/// Settings of a connection to a reranking server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RerankingSettings {
    /// The address of the server, without `/rerank`. Absent: the provider's own.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// The name of the model at the server. Text Embeddings Inference has one model, and its requests do not name it.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// The largest number of passages in a request; absent: 32 for Text Embeddings Inference, otherwise 100.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_texts: Option<u32>,
    /// The longest wait of a search for all scores, in seconds.
    #[schemars(range(min = 1, max = 60))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
    /// The price of a million tokens, from which costs are computed.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_million: Option<f64>,
    /// The largest cost of a calendar month (UTC), in the currency of the price. Beyond it searches are not reranked.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<f64>,
}

const fn default_timeout() -> u32 {
    10
}

impl RerankingSettings {
    fn problems(&self, provider: RerankProvider) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        range(&mut problems, "requestTexts", self.request_texts.unwrap_or(1), 1, MAX_CANDIDATES);
        range(&mut problems, "timeoutSeconds", self.timeout_seconds, 1, 60);
        self.limits.check(&mut problems);
        model_name(&mut problems, &self.model);
        limits::price_and_budget(&mut problems, self.price_per_million, self.monthly_budget);
        limits::base_url(&mut problems, self.base_url(provider).as_ref());
        problems
    }

    fn base_url(&self, provider: RerankProvider) -> Option<Url> {
        self.base_url.clone().or_else(|| provider.default_base_url()?.parse().ok())
    }
}

/// How a connection reranks, whatever the form of its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranking {
    /// The protocol.
    pub provider: RerankProvider,
    /// The address of the server.
    pub base_url: Option<Url>,
    /// The name of the model.
    pub model: String,
    /// The largest number of passages in a request.
    pub request_texts: usize,
    /// The longest wait of a search for all scores.
    pub timeout: Duration,
    /// The price of a million tokens.
    pub price_per_million: Option<f64>,
    /// The largest cost of a calendar month.
    pub monthly_budget: Option<f64>,
}

impl Reranking {
    /// Of a connection with this provider and these settings, with another model than its own if one is named. `None`: it cannot
    /// rerank.
    ///
    /// # Errors
    /// [`InvalidSetting`] when an older version of the provider wrote the settings.
    pub fn of(provider: &str, settings: &Value, model: Option<&str>) -> Option<Result<Self, InvalidSetting>> {
        let provider = RerankProvider::parse(provider)?;
        Some(match provider {
            RerankProvider::Cohere => read(settings).map(|settings| Self::of_model(provider, settings, model)),
            RerankProvider::Jina | RerankProvider::Tei => {
                read(settings).map(|settings| Self::of_server(provider, settings, model))
            }
        })
    }

    fn of_model(provider: RerankProvider, settings: ModelSettings, model: Option<&str>) -> Self {
        Self {
            provider,
            base_url: settings.base_url(ModelProvider::Cohere),
            model: model.map_or(settings.model, str::to_owned),
            request_texts: provider.request_texts() as usize,
            timeout: Duration::from_secs(settings.timeout_seconds.min(MODEL_TIMEOUT_SECONDS).into()),
            price_per_million: settings.prices.map(|prices| prices.input_per_million),
            monthly_budget: settings.monthly_budget,
        }
    }

    fn of_server(provider: RerankProvider, settings: RerankingSettings, model: Option<&str>) -> Self {
        Self {
            provider,
            base_url: settings.base_url(provider),
            model: model.map_or(settings.model, str::to_owned),
            request_texts: settings.request_texts.unwrap_or(provider.request_texts()) as usize,
            timeout: Duration::from_secs(settings.timeout_seconds.into()),
            price_per_million: settings.price_per_million,
            monthly_budget: settings.monthly_budget,
        }
    }

    /// The cost of so many tokens, in millionths.
    #[must_use]
    pub fn cost(&self, tokens: u64) -> i64 {
        cost_of_tokens(self.price_per_million.unwrap_or_default(), tokens)
    }
}

const SCORES: &[Capability] = &[Capability::Rerank];

model_servers! {
    Reranking, RerankProvider, RerankingSettings;
    // Compatible servers may require no key.
    Jina, "Jina reranker, or a compatible server", needs_key: false, can: SCORES;
    Tei, "Text Embeddings Inference, with a reranking model", needs_key: false, can: SCORES;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{provider, providers, validate};
    use super::*;

    #[test]
    fn settings_are_checked_by_field() {
        let fields = |provider: &str, settings: Value| -> Vec<String> {
            let problems = validate(provider, &settings, None).err().unwrap_or_default();
            problems.into_iter().map(|problem| problem.field).collect()
        };
        assert_eq!(fields("jina", json!({ "model": "m" })), Vec::<String>::new());
        assert_eq!(fields("tei", json!({ "model": "m" })), ["settings.baseUrl"]);
        assert_eq!(fields("tei", json!({ "baseUrl": "http://10.1.1.1" })), ["settings"]);
        let settings = json!({ "model": "", "requestTexts": 101, "timeoutSeconds": 61, "monthlyBudget": 1 });
        let expected =
            ["requestTexts", "timeoutSeconds", "model", "pricePerMillion"].map(|field| format!("settings.{field}"));
        assert_eq!(fields("jina", settings), expected);
    }

    #[test]
    fn connections_of_all_protocols_have_one_form() {
        let of = |provider: &str, settings: Value, model| Reranking::of(provider, &settings, model).unwrap().unwrap();
        let cohere = of("cohere", json!({ "model": "chat", "timeoutSeconds": 300 }), Some("rerank-v3.5"));
        assert_eq!((cohere.model.as_str(), cohere.timeout), ("rerank-v3.5", Duration::from_secs(10)));
        assert_eq!(cohere.base_url.unwrap().as_str(), "https://api.cohere.com/");
        let tei = of("tei", json!({ "model": "m", "baseUrl": "http://10.1.1.1", "pricePerMillion": 0.5 }), None);
        assert_eq!((tei.request_texts, tei.model.as_str(), tei.cost(3)), (32, "m", 2));
        let jina = of("jina", json!({ "model": "m", "requestTexts": 7, "timeoutSeconds": 3 }), None);
        assert_eq!((jina.request_texts, jina.timeout), (7, Duration::from_secs(3)));
        assert!(Reranking::of("openai", &json!({ "model": "m" }), None).is_none());
        assert!(Reranking::of("tei", &json!({}), None).unwrap().is_err());
    }

    #[test]
    fn providers_that_rerank_declare_it() {
        for known in providers() {
            assert_eq!(known.can(Capability::Rerank), RerankProvider::parse(known.name).is_some(), "{}", known.name);
        }
        assert!(provider("cohere").unwrap().can(Capability::Chat));
    }
}
