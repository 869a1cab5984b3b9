//! What the settings of several providers have in common: limits that hold for all workers together, addresses, names of models,
//! prices, secrets of headers.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{InvalidSetting, url_problem};

/// The largest number of calls in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRate {
    /// The number of calls.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls: u32,
    /// The period, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub per_seconds: u32,
}

/// Limits of the calls of a connection, which the settings of every provider have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase")]
pub struct CallLimits {
    /// The largest number of calls at the same time, of all workers together: each object that is read or looked up is one, each
    /// listing, and each job that asks or writes; absent: the default of the provider, or any number.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The largest number of calls in a period, of all workers together. Of databases each job is a call, of embeddings each batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<CallRate>,
}

impl CallLimits {
    /// Adds everything that the schema does not say.
    pub(super) fn check(self, problems: &mut Vec<InvalidSetting>) {
        range(problems, "concurrency", self.concurrency.unwrap_or(1), 1, 1000);
        if let Some(limit) = self.rate_limit {
            range(problems, "rateLimit.calls", limit.calls, 1, 1_000_000);
            range(problems, "rateLimit.perSeconds", limit.per_seconds, 1, 86_400);
        }
    }
}

pub(super) fn range(problems: &mut Vec<InvalidSetting>, field: &str, value: u32, min: u32, max: u32) {
    if !(min..=max).contains(&value) {
        problems.push(InvalidSetting::new(field, format!("must be between {min} and {max}")));
    }
}

/// Adds the problem of the address of a server. `None`: the settings name none, and the provider has none.
pub(super) fn base_url(problems: &mut Vec<InvalidSetting>, url: Option<&Url>) {
    match url {
        None => problems.push(InvalidSetting::new("baseUrl", "must be set for this provider")),
        Some(url) => problems.extend(url_problem("baseUrl", url)),
    }
}

/// Adds the problems of the price of tokens, and of a budget that is counted with it.
pub(super) fn price_and_budget(
    problems: &mut Vec<InvalidSetting>,
    price_per_million: Option<f64>,
    monthly_budget: Option<f64>,
) {
    for (field, value, max) in [("pricePerMillion", price_per_million, 1e5), ("monthlyBudget", monthly_budget, 1e9)] {
        if !(0.0..=max).contains(&value.unwrap_or_default()) {
            problems.push(InvalidSetting::new(field, format!("must be between 0 and {max}")));
        }
    }
    if monthly_budget.is_some() && price_per_million.is_none() {
        problems.push(InvalidSetting::new("pricePerMillion", "must be set if `monthlyBudget` is"));
    }
}

/// Adds the problem of the name of a model.
pub(super) fn model_name(problems: &mut Vec<InvalidSetting>, name: &str) {
    if name.is_empty() || name.chars().count() > 200 || name.contains(char::is_control) {
        problems.push(InvalidSetting::new("model", "must have 1 to 200 characters"));
    }
}

/// Adds the problem of a secret that becomes a header.
pub(super) fn header_secret(problems: &mut Vec<InvalidSetting>, field: &str, secret: &str) {
    if !(1..=4096).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(InvalidSetting::new(field, "must have 1 to 4096 visible ASCII characters"));
    }
}
