//! What node types that call a language model have in common.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::ConnectionId,
    pipeline::{
        port::{Flow, OUTPUT, Output, Ports},
        problem::{NodeProblems, ProblemCode},
    },
};

/// Maximum length of a prompt, in bytes.
const MAX_PROMPT_BYTES: usize = 20_000;
/// Maximum length of a key of metadata, in bytes.
const MAX_KEY_BYTES: usize = 100;
/// Maximum length of a label, in bytes.
const MAX_LABEL_BYTES: usize = 200;

/// The call of a model: the settings that all types have which need one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase")]
pub struct ModelCall {
    /// The id of the connection to a model.
    #[schemars(with = "String")]
    pub connection: ConnectionId,
    /// A prompt in place of the built-in one, with the same placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

impl ModelCall {
    /// A call with a prompt of the user's own.
    pub(super) fn example() -> Self {
        Self {
            connection: ConnectionId(EXAMPLE_CONNECTION.parse().unwrap_or_default()),
            prompt: Some("Answer about this text: {{text}}".to_owned()),
        }
    }
}

/// The part of the contract that all types have whose settings are a [`ModelCall`] and more.
macro_rules! calls_model {
    () => {
        const GROUP: $crate::pipeline::node::Group = $crate::pipeline::node::Group::Model;
        const COST: $crate::pipeline::node::Cost = $crate::pipeline::node::Cost::Model;
        const KEEPS_OUTPUT: bool = true;

        fn connection(&self) -> Option<$crate::id::ConnectionId> {
            Some(self.model.connection)
        }

        fn border(&self) -> Option<$crate::pipeline::port::Border> {
            Some($crate::pipeline::port::Border::Units)
        }

        fn lane(&self) -> $crate::domain::job::Lane {
            $crate::domain::job::Lane::Model
        }
    };
}
pub(super) use calls_model;

/// Where the results of a node go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    /// Into the metadata of the file and of the element, which is passed on.
    #[default]
    Metadata,
    /// The output is records: one for each found object, or for each element.
    Records,
}

/// The ports of a node that reads text.
pub(super) fn text_ports(result: ResultKind, input: &[Flow]) -> Ports {
    let flow = (result == ResultKind::Records).then_some(Flow::Records);
    Ports { input: input.to_vec(), outputs: vec![Output::new(OUTPUT, flow)] }
}

/// Adds the problems of the common settings.
pub(super) fn validate(prompt: Option<&String>, field: &str, problems: &mut NodeProblems<'_>) {
    validate_prompt(prompt, problems);
    if field.is_empty() || field.len() > MAX_KEY_BYTES || field.contains(['.', '\0']) {
        let message = format!("must have 1 to {MAX_KEY_BYTES} bytes and no dot");
        problems.add(ProblemCode::InvalidSetting, "field", message, "use another key of the metadata");
    }
}

/// Adds the problems of a prompt.
pub(super) fn validate_prompt(prompt: Option<&String>, problems: &mut NodeProblems<'_>) {
    if prompt.is_some_and(|prompt| prompt.trim().is_empty() || prompt.len() > MAX_PROMPT_BYTES) {
        let message = format!("must have 1 to {MAX_PROMPT_BYTES} bytes");
        problems.add(ProblemCode::InvalidSetting, "prompt", message, "shorten it, or leave it out");
    }
}

/// Adds the problems of a list of labels.
pub(super) fn validate_labels(name: &str, labels: &[String], min: usize, problems: &mut NodeProblems<'_>) {
    if labels.len() < min || labels.len() > 200 {
        problems.add(
            ProblemCode::InvalidSetting,
            name,
            format!("must have {min} to 200 entries"),
            "add or remove some",
        );
    }
    if labels.iter().any(|label| label.trim().is_empty() || label.len() > MAX_LABEL_BYTES) {
        let message = format!("entries must have 1 to {MAX_LABEL_BYTES} bytes");
        problems.add(ProblemCode::InvalidSetting, name, message, "rename the entry");
    }
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        problems.add(ProblemCode::InvalidSetting, name, "has an entry twice", "remove one");
    }
}

/// The id of a connection, as examples have it.
pub(super) const EXAMPLE_CONNECTION: &str = "01975c3e-0000-7000-8000-000000000000";
