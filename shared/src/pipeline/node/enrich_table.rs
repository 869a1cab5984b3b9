//! `enrich.table`: describes the tables of documents and their columns.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate},
    spec::NodeSpec,
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::NodeProblems,
};

/// Settings of `enrich.table`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrichTable {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "tables".to_owned()
}

impl NodeSpec for EnrichTable {
    const TYPE: &'static str = "enrich.table";
    const TITLE: &'static str = "Describe tables";
    const DESCRIPTION: &'static str = "Describes the tables of documents and their columns.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
    }

    fn example() -> Self {
        Self { model: ModelCall::example(), field: default_field(), result: ResultKind::Metadata }
    }
}
