//! The response of the usage operation.

use apistos::ApiComponent;
use chrono::NaiveDate;
use nvisy_shared::{
    domain::quota::Resource,
    store::usage::{self, DailySearches},
};
use schemars::JsonSchema;
use serde::Serialize;

/// The usage and limits of a workspace.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Usage")]
pub struct UsageView {
    /// The number of files.
    files: Amount,
    /// The bytes of all versions of all files.
    bytes: Amount,
    /// The number of chunks.
    chunks: Amount,
    /// The number of unfinished runs.
    runs: Amount,
    /// The number of collections.
    collections: Amount,
    /// The tokens of all chunks.
    tokens: i64,
    /// The searches of the last 30 days, oldest first; days without a search are omitted.
    searches: Vec<SearchesOfDay>,
}

/// The usage of a resource and its limit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Amount {
    /// The amount in use.
    used: i64,
    /// The limit: the lower one of the workspace's and the deployment's.
    limit: i64,
}

/// The searches of one day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SearchesOfDay {
    /// The day, UTC.
    day: NaiveDate,
    /// The number of searches.
    count: i64,
}

impl UsageView {
    pub fn new(usage: usage::Usage, searches: Vec<DailySearches>) -> Self {
        let amount = |resource| Amount { used: usage.used.of(resource), limit: usage.limits.of(resource) };
        let searches = searches.into_iter().map(|entry| SearchesOfDay { day: entry.day, count: entry.searches });
        Self {
            files: amount(Resource::Files),
            bytes: amount(Resource::Bytes),
            chunks: amount(Resource::Chunks),
            runs: amount(Resource::Runs),
            collections: amount(Resource::Collections),
            tokens: usage.tokens,
            searches: searches.collect(),
        }
    }
}
