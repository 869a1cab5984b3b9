//! `extract.keywords`: finds the most important words and phrases, by a model or by statistics without a network.

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
        problem::{NodeProblems, ProblemCode},
    },
};

/// How keywords are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum KeywordMethod {
    /// By frequency, place, case and neighbours of words (YAKE), on this machine.
    #[default]
    Statistical,
    /// By a language model.
    Model,
}

const fn default_max() -> u32 {
    10
}

const fn default_max_words() -> u32 {
    3
}

/// Settings of `extract.keywords`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtractKeywords {
    /// The id of the connection to a model; only with `method: model`.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// How keywords are found.
    #[serde(default)]
    pub method: KeywordMethod,
    /// The largest number of keywords.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 100))]
    pub max: u32,
    /// The largest number of words in a keyword of the statistical method.
    #[serde(default = "default_max_words")]
    #[schemars(range(min = 1, max = 5))]
    pub max_words: u32,
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
    "keywords".to_owned()
}

impl NodeSpec for ExtractKeywords {
    const TYPE: &'static str = "extract.keywords";
    const TITLE: &'static str = "Extract keywords";
    const DESCRIPTION: &'static str =
        "Finds the most important words and phrases, by a model or by statistics without a network.";
    const GROUP: Group = Group::Model;
    const COST: Cost = Cost::Model;
    const CODE_VERSION: u32 = 1;
    const KEEPS_OUTPUT: bool = true;

    fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.prompt.as_ref(), &self.field, problems);
        problems.range("max", self.max, 1, 100);
        problems.range("maxWords", self.max_words, 1, 5);
        if self.method == KeywordMethod::Model && self.connection.is_none() {
            let message = "must be set with `method: model`";
            problems.add(ProblemCode::InvalidSetting, "connection", message, "set it, or use `method: statistical`");
        }
    }

    fn border(&self) -> Option<Border> {
        (self.method == KeywordMethod::Model).then_some(Border::Units)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self {
            connection: Some(ConnectionId(EXAMPLE_CONNECTION.parse().unwrap_or_default())),
            method: KeywordMethod::Model,
            max: 8,
            max_words: default_max_words(),
            prompt: Some("Answer about this text: {{text}}".to_owned()),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
