//! `extract.entities`: finds names of people, organisations, places and other entities, with the byte ranges where they stand.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate, validate_labels},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

fn default_types() -> Vec<String> {
    ["person", "organization", "location", "date", "amount"].map(str::to_owned).into()
}

/// Settings of `extract.entities`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtractEntities {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The types of entities.
    #[serde(default = "default_types")]
    #[schemars(length(min = 1, max = 200))]
    pub types: Vec<String>,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "entities".to_owned()
}

impl NodeSpec for ExtractEntities {
    const TYPE: &'static str = "extract.entities";
    const TITLE: &'static str = "Extract entities";
    const DESCRIPTION: &'static str =
        "Finds names of people, organisations, places and other entities, with the byte ranges where they stand.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        validate_labels("types", &self.types, 1, problems);
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            types: ["person", "organization"].map(str::to_owned).into(),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
