//! What the usage operation gives.

use apistos::ApiComponent;
use chrono::NaiveDate;
use nvisy_shared::{
    domain::quota::Resource,
    store::usage::{self, DailySearches},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What a workspace uses and may use.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Files.
    files: Amount,
    /// Bytes of all versions of all files.
    bytes: Amount,
    /// Chunks.
    chunks: Amount,
    /// Runs that are not finished.
    runs: Amount,
    /// Tokens of all chunks.
    tokens: i64,
    /// Searches of the last 30 days, oldest first; days without any are left out.
    searches: Vec<SearchesOfDay>,
}

/// How much of something.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Amount {
    /// In use.
    used: i64,
    /// May be in use: the least of what the workspace and the deployment allow.
    limit: i64,
}

/// Searches of one day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SearchesOfDay {
    /// The day, UTC.
    day: NaiveDate,
    /// How many.
    count: i64,
}

impl Usage {
    pub fn new(usage: usage::Usage, searches: Vec<DailySearches>) -> Self {
        let amount = |resource| Amount { used: usage.used.of(resource), limit: usage.limits.of(resource) };
        let searches = searches.into_iter().map(|of| SearchesOfDay { day: of.day, count: of.searches });
        Self {
            files: amount(Resource::Files),
            bytes: amount(Resource::Bytes),
            chunks: amount(Resource::Chunks),
            runs: amount(Resource::Runs),
            tokens: usage.tokens,
            searches: searches.collect(),
        }
    }
}
