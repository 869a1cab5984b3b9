//! `http`: a step of one's own, a service that gets batches of elements and responds with metadata, texts or records.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    service::{validate_request, validate_schema, validate_url},
    spec::{Cost, Group, NodeSpec},
};
use crate::{
    domain::job::Lane,
    pipeline::{
        port::{Border, Flow, OUTPUT, Output, Ports},
        problem::NodeProblems,
    },
};

/// Maximum size of a response, in bytes.
const MAX_RESPONSE_BYTES: u32 = 64 * 1024 * 1024;

/// Settings of `http`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// The address of the service, which gets POST requests.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The result of a response.
    #[serde(default)]
    pub output: HttpOutput,
    /// Whether the service gives the same response to the same elements at any time. Requests then have nothing of the file, and outputs
    /// are reused by other runs and files.
    #[serde(default)]
    pub pure: bool,
    /// The number of elements in a request.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "default_batch_size")]
    pub batch_size: u32,
    /// The longest time of a request, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_seconds")]
    pub request_timeout_seconds: u32,
    /// The largest size of a response, in bytes.
    #[schemars(range(min = 1, max = 67_108_864))]
    #[serde(default = "default_response_bytes")]
    pub max_response_bytes: u32,
    /// A JSON Schema of each element in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// A JSON Schema of each element in a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

/// The result of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum HttpOutput {
    /// The elements of the request, with other metadata and texts, or without some of them.
    #[default]
    Same,
    /// Records instead of the elements.
    Records,
}

pub(super) const fn default_batch_size() -> u32 {
    16
}

pub(super) const fn default_seconds() -> u32 {
    30
}

const fn default_response_bytes() -> u32 {
    8 * 1024 * 1024
}

impl NodeSpec for Http {
    const TYPE: &'static str = "http";
    const TITLE: &'static str = "HTTP step";
    const DESCRIPTION: &'static str =
        "Sends elements in batches to a service of one's own, which responds with metadata, texts or records.";
    const GROUP: Group = Group::Own;
    const COST: Cost = Cost::Service;
    const KEEPS_OUTPUT: bool = true;
    const READS_MODEL: bool = true;

    fn ports(&self) -> Ports {
        let flow = match self.output {
            HttpOutput::Same => None,
            HttpOutput::Records => Some(Flow::Records),
        };
        Ports { input: vec![Flow::Document, Flow::Chunks, Flow::Records], outputs: vec![Output::new(OUTPUT, flow)] }
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate_url(&self.url, problems);
        validate_request(self.batch_size, self.request_timeout_seconds, problems);
        problems.range("maxResponseBytes", self.max_response_bytes, 1, MAX_RESPONSE_BYTES);
        validate_schema("inputSchema", self.input_schema.as_ref(), problems);
        validate_schema("outputSchema", self.output_schema.as_ref(), problems);
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Durable)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn reads_run(&self) -> bool {
        !self.pure
    }

    fn example() -> Self {
        Self {
            url: "https://example.org/step".to_owned(),
            output: HttpOutput::Same,
            pure: true,
            batch_size: default_batch_size(),
            request_timeout_seconds: default_seconds(),
            max_response_bytes: default_response_bytes(),
            input_schema: Some(json!({ "type": "object", "required": ["text"] })),
            output_schema: Some(json!({ "type": "object", "required": ["metadata"] })),
        }
    }
}
