//! `sink.webhook`: delivers elements to a service of the tenant.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    http::{default_batch_size, default_seconds},
    service::{validate_request, validate_url},
    spec::{Cost, Group, NodeSpec},
};
use crate::{
    domain::job::Lane,
    pipeline::{
        port::{Border, Flow, Ports},
        problem::NodeProblems,
    },
};

/// Settings of `sink.webhook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkWebhook {
    /// The address of the receiver, which gets POST requests.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The number of elements in a request.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "default_batch_size")]
    pub batch_size: u32,
    /// The longest time of a request, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_seconds")]
    pub request_timeout_seconds: u32,
    /// Whether the receiver is told when delivered elements are obsolete: the file is gone, takes another way, or the pipeline is
    /// deleted.
    #[serde(default)]
    pub deletions: bool,
}

impl NodeSpec for SinkWebhook {
    const TYPE: &'static str = "sink.webhook";
    const TITLE: &'static str = "Webhook";
    const DESCRIPTION: &'static str = "Delivers documents, chunks or records to a service of one's own, at least once.";
    const GROUP: Group = Group::Sink;
    const COST: Cost = Cost::Service;

    fn ports(&self) -> Ports {
        Ports::sink(&[Flow::Document, Flow::Chunks, Flow::Records])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate_url(&self.url, problems);
        validate_request(self.batch_size, self.request_timeout_seconds, problems);
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Durable)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self {
            url: "https://example.org/received".to_owned(),
            batch_size: 100,
            request_timeout_seconds: default_seconds(),
            deletions: true,
        }
    }
}
