//! `classify`: assigns one or several of given labels to texts.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, text_ports, validate, validate_labels},
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

/// Settings of `classify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Classify {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The labels.
    #[schemars(length(min = 2, max = 200))]
    pub labels: Vec<String>,
    /// Whether a text may have several labels; then the result is a list.
    #[serde(default)]
    pub multiple: bool,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "category".to_owned()
}

impl NodeSpec for Classify {
    const TYPE: &'static str = "classify";
    const TITLE: &'static str = "Classify";
    const DESCRIPTION: &'static str = "Assigns one or several of given labels to texts.";
    const GROUP: Group = Group::Model;
    const COST: Cost = Cost::Model;
    const CODE_VERSION: u32 = 1;
    const KEEPS_OUTPUT: bool = true;

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.model.connection)
    }

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        validate_labels("labels", &self.labels, 2, problems);
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Units)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            labels: ["invoice", "contract", "other"].map(str::to_owned).into(),
            multiple: true,
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
