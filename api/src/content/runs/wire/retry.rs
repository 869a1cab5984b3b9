//! The request that retries failed items of many runs, and its response.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::domain::{failure::FailureCode, run::FailedItems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{
    string_schema::failure_codes,
    validation::{present, present_time},
};

/// Items of one request, if it does not say how many.
const DEFAULT_LIMIT: u32 = 100_000;

/// Which failed items are repeated.
#[derive(Debug, Serialize, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct RetryItems {
    /// Only items that failed with this code.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(schema_with = "failure_codes")]
    pub code: Option<FailureCode>,
    /// Only items of runs of this pipeline.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Uuid")]
    pub pipeline: Option<Uuid>,
    /// Only items that failed at this time or later.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present_time")]
    #[schemars(with = "DateTime<Utc>")]
    pub since: Option<DateTime<Utc>>,
    /// The largest number of items; those that entered first are retried.
    #[garde(range(min = 1, max = 1_000_000))]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub limit: u32,
}

const fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

fn example() -> Value {
    json!({ "code": "timed_out", "since": "2026-01-31T12:00:00Z" })
}

impl RetryItems {
    pub fn failed_items(&self) -> FailedItems {
        FailedItems { code: self.code, pipeline: self.pipeline.map(Into::into), since: self.since }
    }
}

/// The failed items that are retried.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct RetriedItems {
    /// Their number.
    pub items: u32,
    /// Whether more than the limit match: another request retries them.
    pub more: bool,
}
