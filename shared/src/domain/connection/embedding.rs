//! Connections to servers that compute embeddings.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{self, CallLimits, model_name},
    model::{ModelCredentials, cost_of_tokens},
};
use crate::domain::space::MAX_DIMENSIONS;

/// OpenAI's own address.
const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// Settings of a connection to a server that computes embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddingSettings {
    /// The address of the server up to and including `/v1`. Absent: OpenAI's own.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// The name of the model at the server.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// The number of dimensions of a vector. A response with another number is an error.
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: u16,
    /// Whether requests name the number of dimensions, which shortens the vectors of models that can; other servers reject it.
    #[serde(default)]
    pub request_dimensions: bool,
    /// Whether the first numbers of a vector are a vector, too, because the model was trained for it (Matryoshka): collections may
    /// have fewer dimensions.
    #[serde(default)]
    pub truncatable: bool,
    /// The number of tokens of the longest passage that the model reads.
    #[schemars(range(min = 16, max = 1_000_000))]
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
    /// The largest number of texts in a request.
    #[schemars(range(min = 1, max = 2048))]
    #[serde(default = "default_request_texts")]
    pub request_texts: u32,
    /// The text before a query, if the model expects one.
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query_prefix: String,
    /// The text before a passage, if the model expects one.
    #[schemars(length(max = 1000))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub passage_prefix: String,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
    /// The price of a million tokens, from which costs are computed.
    #[schemars(range(min = 0, max = 100_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_million: Option<f64>,
    /// The largest cost of a calendar month (UTC), in the currency of the price. Beyond it runs fail with `budget_exceeded`.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<f64>,
}

const fn default_max_tokens() -> u32 {
    512
}

const fn default_request_texts() -> u32 {
    64
}

impl EmbeddingSettings {
    /// The address of the server.
    #[must_use]
    pub fn base_url(&self) -> Option<Url> {
        self.base_url.clone().or_else(|| DEFAULT_BASE_URL.parse().ok())
    }

    /// The cost of so many tokens, in millionths.
    #[must_use]
    pub fn cost(&self, tokens: u64) -> i64 {
        cost_of_tokens(self.price_per_million.unwrap_or_default(), tokens)
    }

    /// Whether the vectors of every space of these settings can be computed with the new ones.
    #[must_use]
    pub fn has_spaces_in(&self, new: &Self) -> bool {
        let space = |of: &Self| (of.model.clone(), of.dimensions, of.query_prefix.clone(), of.passage_prefix.clone());
        space(self) == space(new) && (new.truncatable || !self.truncatable)
    }
}

/// Servers that speak OpenAI's embeddings protocol.
#[derive(Debug)]
pub struct OpenAiEmbeddings;

impl ProviderSpec for OpenAiEmbeddings {
    const NAME: &'static str = "openai-embeddings";
    const TITLE: &'static str = "OpenAI embeddings, or a compatible server";
    const KIND: ConnectionKind = ConnectionKind::Embedding;
    const CAPABILITIES: &'static [Capability] = &[Capability::Embed];
    // Servers that are compatible with OpenAI's may require no key.
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = EmbeddingSettings;
    type Credentials = ModelCredentials;

    fn settings_problems(settings: &EmbeddingSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        let mut range = |field: &str, value: f64, min: f64, max: f64| {
            if !(min..=max).contains(&value) {
                problems.push(InvalidSetting::new(field, format!("must be between {min} and {max}")));
            }
        };
        range("dimensions", settings.dimensions.into(), 1.0, MAX_DIMENSIONS.into());
        range("maxTokens", settings.max_tokens.into(), 16.0, 1_000_000.0);
        range("requestTexts", settings.request_texts.into(), 1.0, 2048.0);
        settings.limits.check(&mut problems);
        for (field, prefix) in [("queryPrefix", &settings.query_prefix), ("passagePrefix", &settings.passage_prefix)] {
            if prefix.chars().count() > 1000 || prefix.contains('\0') {
                problems.push(InvalidSetting::new(field, "must have at most 1000 characters, and no NUL"));
            }
        }
        model_name(&mut problems, &settings.model);
        limits::price_and_budget(&mut problems, settings.price_per_million, settings.monthly_budget);
        limits::base_url(&mut problems, settings.base_url().as_ref());
        problems
    }

    fn credentials_problems(credentials: &ModelCredentials) -> Vec<InvalidSetting> {
        credentials.problems()
    }

    fn address(settings: &EmbeddingSettings) -> Option<Address> {
        Some(Address { field: "baseUrl", url: settings.base_url()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{read, validate};
    use super::*;

    #[test]
    fn settings_are_checked_by_field() {
        let fields = |settings: serde_json::Value| -> Vec<String> {
            let problems = validate("openai-embeddings", &settings, None).err().unwrap_or_default();
            problems.into_iter().map(|problem| problem.field).collect()
        };
        assert_eq!(fields(json!({ "model": "m", "dimensions": 3, "requestDimensions": true })), Vec::<String>::new());
        assert_eq!(fields(json!({ "model": "m" })), ["settings"]);
        let settings = json!({ "model": "", "dimensions": 4097, "baseUrl": "file:///etc", "monthlyBudget": 1 });
        let expected = ["dimensions", "model", "pricePerMillion", "baseUrl"].map(|field| format!("settings.{field}"));
        assert_eq!(fields(settings), expected);
    }

    #[test]
    fn cost_is_rounded_up_to_millionths() {
        let settings: EmbeddingSettings =
            read(&json!({ "model": "m", "dimensions": 3, "pricePerMillion": 0.02 })).unwrap();
        assert_eq!((settings.cost(1000), settings.cost(1)), (20, 1));
    }
}
