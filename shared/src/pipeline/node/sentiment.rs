//! `sentiment`: rates texts as negative, neutral, positive or mixed, with a score from -1 to 1.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{EXAMPLE_CONNECTION, ResultKind, text_ports, validate},
    spec::{Cost, Group, NodeSpec},
};
use crate::{
    domain::job::Lane,
    id::ConnectionId,
    pipeline::{
        port::{Border, Flow, Ports},
        problem::NodeProblems,
    },
};

/// Settings of `sentiment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sentiment {
    /// The id of the connection to a model.
    #[schemars(with = "String")]
    pub connection: ConnectionId,
    /// A prompt in place of the built-in one, with the same placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "sentiment".to_owned()
}

impl NodeSpec for Sentiment {
    const TYPE: &'static str = "sentiment";
    const TITLE: &'static str = "Sentiment";
    const DESCRIPTION: &'static str = "Rates texts as negative, neutral, positive or mixed, with a score from -1 to 1.";
    const GROUP: Group = Group::Model;
    const COST: Cost = Cost::Model;
    const CODE_VERSION: u32 = 1;
    const KEEPS_OUTPUT: bool = true;

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.connection)
    }

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.prompt.as_ref(), &self.field, problems);
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Units)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self {
            connection: ConnectionId(EXAMPLE_CONNECTION.parse().unwrap_or_default()),
            prompt: Some("Answer about this text: {{text}}".to_owned()),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
