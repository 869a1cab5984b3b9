//! The options that every node has, whatever its type.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::NodeProblems;

/// The options of a node; an absent one has the default of the node's type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeOptions {
    /// Repetition after a temporary failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The longest time of one attempt, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The largest number of concurrent calls of the node in a run.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The consequence of a final failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// The largest number of calls of the node in a period; waiting costs no attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// Repetition after a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// The number of attempts, the first included.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
    /// The wait before the second attempt, in seconds; it doubles with each attempt.
    #[serde(default = "default_backoff", skip_serializing_if = "is_default_backoff")]
    #[schemars(range(min = 1, max = 3600))]
    pub backoff_seconds: u32,
}

const fn default_backoff() -> u32 {
    1
}

/// A definition is stored and exported as it was written.
const fn is_default_backoff(seconds: &u32) -> bool {
    *seconds == default_backoff()
}

/// The consequence of a final failure of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The item fails; the run goes on.
    FailItem,
    /// The item goes on as if the node had passed its input through, or ends here if it cannot.
    Skip,
    /// The run fails.
    FailRun,
}

/// The largest number of calls of the node in a period. A job calls the node once, for an item or a part of its elements, whatever
/// number of requests that takes; a call whose output is found counts as well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// The number of calls.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls: u32,
    /// The period, in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub per_seconds: u32,
}

impl NodeOptions {
    /// The names of the options in a definition.
    pub const NAMES: [&'static str; 5] = ["retry", "timeoutSeconds", "concurrency", "onError", "rateLimit"];

    /// These options, with `defaults` for absent ones.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        Self {
            retry: self.retry.or(defaults.retry),
            timeout_seconds: self.timeout_seconds.or(defaults.timeout_seconds),
            concurrency: self.concurrency.or(defaults.concurrency),
            on_error: self.on_error.or(defaults.on_error),
            rate_limit: self.rate_limit.or(defaults.rate_limit),
        }
    }

    /// Adds the options that are out of range.
    pub fn validate(&self, problems: &mut NodeProblems<'_>) {
        if let Some(retry) = self.retry {
            problems.range("retry.attempts", retry.attempts, 1, 20);
            problems.range("retry.backoffSeconds", retry.backoff_seconds, 1, 3600);
        }
        if let Some(seconds) = self.timeout_seconds {
            problems.range("timeoutSeconds", seconds, 1, 86_400);
        }
        if let Some(concurrency) = self.concurrency {
            problems.range("concurrency", concurrency, 1, 1000);
        }
        if let Some(limit) = self.rate_limit {
            problems.range("rateLimit.calls", limit.calls, 1, 1_000_000);
            problems.range("rateLimit.perSeconds", limit.per_seconds, 1, 86_400);
        }
    }
}
