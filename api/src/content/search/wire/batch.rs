//! Several searches in one request.

use apistos::ApiComponent;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{request::SearchRequest, response::SearchResponse};
use crate::problem::{Problem, ProblemBody};

/// Several searches.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "example")]
pub struct SearchBatchRequest {
    /// The searches.
    #[garde(length(min = 1, max = 32), dive)]
    #[schemars(length(min = 1, max = 32))]
    pub searches: Vec<SearchRequest>,
}

fn example() -> Value {
    json!({ "searches": [
        { "query": "How often are the turbine blades cleaned?", "limit": 3 },
        { "query": "E-417", "mode": "text" },
    ] })
}

/// The results of several searches.
#[derive(Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct SearchBatchResponse {
    /// The result of each search, in their order.
    pub results: Vec<BatchItem>,
    /// The duration of all in milliseconds.
    pub took_ms: u64,
}

/// The result of one search: a response, or the problem with which it has failed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SearchBatchItem")]
pub struct BatchItem {
    /// The status that the search alone would have had.
    status: u16,
    /// The response, if the status is 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<SearchResponse>,
    /// The problem, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

impl From<Result<SearchResponse, Problem>> for BatchItem {
    fn from(result: Result<SearchResponse, Problem>) -> Self {
        match result {
            Ok(response) => Self { status: 200, response: Some(response), problem: None },
            Err(problem) => {
                let status = problem.code().status().as_u16();
                Self { status, response: None, problem: Some(problem.body(None)) }
            }
        }
    }
}
