//! `extract.json`: extracts values from texts, in the form of a JSON Schema.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    model_options::{ModelCall, ResultKind, calls_model, text_ports, validate},
    spec::NodeSpec,
};
use crate::pipeline::{
    json_output,
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Settings of `extract.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtractJson {
    /// The call of the model.
    #[serde(flatten)]
    pub model: ModelCall,
    /// The JSON Schema (2020-12) of the result: an object.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub schema: Value,
    /// The key of the metadata that has the result.
    #[serde(default = "default_field")]
    pub field: String,
    /// Where the results go.
    #[serde(default)]
    pub result: ResultKind,
}

fn default_field() -> String {
    "extracted".to_owned()
}

impl NodeSpec for ExtractJson {
    const TYPE: &'static str = "extract.json";
    const TITLE: &'static str = "Extract JSON";
    const DESCRIPTION: &'static str = "Extracts values from texts, in the form of a JSON Schema.";
    const CODE_VERSION: u32 = 1;

    calls_model!();

    fn ports(&self) -> Ports {
        text_ports(self.result, &[Flow::Document, Flow::Chunks])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        validate(self.model.prompt.as_ref(), &self.field, problems);
        if let Err(reason) = json_output::check_schema(&self.schema) {
            problems.add(
                ProblemCode::InvalidSetting,
                "schema",
                reason,
                "use a JSON Schema of an object, without references",
            );
        }
    }

    fn example() -> Self {
        Self {
            model: ModelCall::example(),
            schema: json!({ "type": "object", "properties": { "total": { "type": "number" } }, "required": ["total"] }),
            field: default_field(),
            result: ResultKind::Metadata,
        }
    }
}
