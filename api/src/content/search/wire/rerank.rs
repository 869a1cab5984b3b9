//! `rerank` of a search: its forms, and their schema.

use garde::{Path, Report, Validate};
use nvisy_shared::{
    domain::connection::reranking::{DEFAULT_CANDIDATES, MAX_CANDIDATES},
    store::search::{Rerank, RerankModel},
};
use schemars::{JsonSchema, r#gen::SchemaGenerator, schema::Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Value, json};

use crate::content::search::reranking::RerankCommand;

/// The value of `model` that names the operator's model.
const LOCAL: &str = "local";
/// The longest name of a model at a provider.
const MAX_MODEL_CHARS: usize = 200;

/// A second ranking. Its schema is `RerankSchema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerankOption {
    /// By the stored vectors of the best hits and of their neighbours.
    Neighbours,
    /// By a model that reads query and passage.
    Model(ModelOption),
}

/// The model of a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelOption {
    /// The connection, by name or id.
    #[garde(inner(length(chars, min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// `local` without a connection, otherwise another model than that of the connection.
    #[garde(inner(length(chars, min = 1, max = MAX_MODEL_CHARS)), custom(known_model(self.connection.is_some())))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The best passages that the model scores.
    #[garde(inner(range(min = 1, max = MAX_CANDIDATES)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidates: Option<u32>,
}

/// Rule of `model`: without a connection there is one model.
fn known_model(has_connection: bool) -> impl FnOnce(&Option<String>, &()) -> garde::Result {
    move |model, ()| match model.as_deref() {
        Some(name) if name.contains(char::is_control) => Err(garde::Error::new("must have no control character")),
        Some(_) | None if has_connection => Ok(()),
        Some(LOCAL) => Ok(()),
        _ => Err(garde::Error::new("must be `local`, unless there is a `connection`")),
    }
}

/// The derived one would name the variant in the paths of errors.
impl Validate for RerankOption {
    type Context = ();

    fn validate_into(&self, context: &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        if let Self::Model(model) = self {
            model.validate_into(context, parent, report);
        }
    }
}

impl<'de> Deserialize<'de> for RerankOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) if name == "neighbours" => Ok(Self::Neighbours),
            value @ Value::Object(_) => serde_json::from_value(value).map(Self::Model).map_err(D::Error::custom),
            _ => Err(D::Error::custom("must be `neighbours`, or an object with `model` or `connection`")),
        }
    }
}

impl Serialize for RerankOption {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Neighbours => serializer.serialize_str("neighbours"),
            Self::Model(model) => model.serialize(serializer),
        }
    }
}

impl From<RerankOption> for RerankCommand {
    fn from(option: RerankOption) -> Self {
        match option {
            RerankOption::Neighbours => Self::Neighbours,
            RerankOption::Model(ModelOption { connection, model, candidates }) => {
                let candidates = candidates.unwrap_or(DEFAULT_CANDIDATES);
                match connection {
                    None => Self::Local { candidates },
                    Some(connection) => Self::Connection { connection, model, candidates },
                }
            }
        }
    }
}

impl From<Rerank> for RerankOption {
    fn from(rerank: Rerank) -> Self {
        let Rerank::Model(rerank) = rerank else { return Self::Neighbours };
        let (connection, model) = match rerank.model {
            RerankModel::Local => (None, Some(LOCAL.to_owned())),
            RerankModel::Connection { connection, model } => (Some(connection.to_string()), model),
        };
        Self::Model(ModelOption { connection, model, candidates: Some(rerank.candidates) })
    }
}

/// For `#[schemars(with = "..")]`.
pub struct RerankSchema;

impl JsonSchema for RerankSchema {
    fn schema_name() -> String {
        "Rerank".to_owned()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let candidates = json!({
            "type": "integer", "format": "uint32", "minimum": 1, "maximum": MAX_CANDIDATES, "default": DEFAULT_CANDIDATES,
            "description": "The best passages, which the model scores; others follow in their order.",
        });
        let object = |properties: Value, required: &str| {
            json!({
                "type": "object", "properties": properties, "required": [required], "additionalProperties": false,
            })
        };
        let neighbours = json!({
            "type": "string", "enum": ["neighbours"],
            "description": "By the stored vectors of the best hits and of their neighbours, in the modes `hybrid` and `vector`.",
        });
        let model = json!({ "type": "string", "enum": [LOCAL], "description": "The operator's reranking model." });
        let local = object(json!({ "model": model, "candidates": candidates }), "model");
        let connection = json!({
            "type": "string", "minLength": 1, "maxLength": 100,
            "description": "A connection whose provider has the capability `rerank`, by name or id.",
        });
        let other_model = json!({
            "type": "string", "minLength": 1, "maxLength": MAX_MODEL_CHARS,
            "description": "The model at the provider; absent: that of the connection.",
        });
        let properties = json!({ "connection": connection, "model": other_model, "candidates": candidates });
        let schema = json!({
            "description": "A second ranking.",
            "anyOf": [neighbours, local, object(properties, "connection")],
        });
        serde_json::from_value(schema).expect("the schema is valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: Value) -> Result<RerankOption, String> {
        let option: RerankOption = serde_json::from_value(value).map_err(|error| error.to_string())?;
        option.validate().map_err(|report| report.to_string())?;
        Ok(option)
    }

    #[test]
    fn each_form_is_read_and_shown_again() {
        for form in [
            json!("neighbours"),
            json!({ "model": "local" }),
            json!({ "model": "local", "candidates": 100 }),
            json!({ "connection": "reranker" }),
            json!({ "connection": "reranker", "model": "rerank-v3.5", "candidates": 1 }),
        ] {
            assert_eq!(serde_json::to_value(parse(form.clone()).unwrap()).unwrap(), form);
        }
    }

    #[test]
    fn other_forms_are_rejected() {
        for form in [
            json!("magic"),
            json!({}),
            json!(true),
            json!({ "candidates": 10 }),
            json!({ "model": "other" }),
            json!({ "model": "local", "candidates": 0 }),
            json!({ "model": "local", "candidates": 101 }),
            json!({ "model": "local", "limit": 5 }),
            json!({ "connection": "" }),
            json!({ "connection": "a", "model": "" }),
            json!({ "connection": "a", "model": "a\u{1}" }),
            json!({ "connection": "a", "candidates": -1 }),
        ] {
            assert!(parse(form.clone()).is_err(), "{form}");
        }
    }
}
