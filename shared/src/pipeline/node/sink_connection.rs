//! `sink.connection`: writes elements to the system behind a connection.

use std::collections::BTreeMap;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    model_options::EXAMPLE_CONNECTION,
    spec::{Cost, Group, NodeSpec},
};
use crate::{
    domain::job::Lane,
    id::ConnectionId,
    pipeline::{
        expression::{self, Expected},
        port::{Border, Flow, Ports},
        problem::{NodeProblems, ProblemCode},
    },
};

/// Maximum number of fields.
const MAX_FIELDS: usize = 100;
/// Maximum length of the name of a field, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// Maximum length of the name of the place, in bytes.
const MAX_PLACE_BYTES: usize = 255;
/// Maximum number of elements in a request.
const MAX_BATCH_SIZE: u32 = 1_000;

/// Settings of `sink.connection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkConnection {
    /// The id of the connection.
    #[schemars(with = "String")]
    pub connection: ConnectionId,
    /// The place in the system: the collection (Qdrant, Milvus), the class (Weaviate), the namespace (Pinecone), the table, with its
    /// schema if it is not the default one (databases), the folder (stores of objects; `/` is the whole store).
    #[schemars(length(min = 1, max = 255))]
    pub into: String,
    /// Expressions by the field or column that gets their value; empty: those that the flow has.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The column or field of the id, which the node makes: a UUID. Vector stores other than Milvus have one of their own.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default = "default_id_field")]
    pub id_field: String,
    /// The field or column of the text; `null`: none.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default = "default_text_field")]
    pub text_field: Option<String>,
    /// The field or column of the vector; absent: that of the store, and none in a table.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default)]
    pub vector_field: Option<String>,
    /// The number of elements in a request.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "default_batch_size")]
    pub batch_size: u32,
    /// The objects that elements become in a store of objects.
    #[serde(default)]
    pub object: ObjectSettings,
}

/// The objects that elements become: one for each document and each content of a file, one for all chunks, vectors or records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ObjectSettings {
    /// An expression of the path below `into`, where `/` begins a folder. The node makes it safe, and appends an id, which no other
    /// object has, and the extension of the format.
    pub name: String,
    /// The format.
    pub format: ObjectFormat,
}

impl Default for ObjectSettings {
    fn default() -> Self {
        Self { name: "file.name".to_owned(), format: ObjectFormat::Auto }
    }
}

/// The format of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum ObjectFormat {
    /// Bytes as they are, documents as text, other elements as JSON lines.
    #[default]
    Auto,
    /// Documents as Markdown, others as with `auto`.
    Markdown,
    /// Documents as JSON with their structure, other elements as a JSON array.
    Json,
}

fn default_id_field() -> String {
    "id".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "the default of a field that may be null")]
fn default_text_field() -> Option<String> {
    Some("text".to_owned())
}

const fn default_batch_size() -> u32 {
    100
}

fn is_name(name: &str, max: usize) -> bool {
    !name.is_empty() && name.len() <= max && !name.contains(char::is_control)
}

impl NodeSpec for SinkConnection {
    const TYPE: &'static str = "sink.connection";
    const TITLE: &'static str = "Connection";
    const DESCRIPTION: &'static str =
        "Writes elements to the vector store, database or store of objects of a connection.";
    const GROUP: Group = Group::Sink;
    const COST: Cost = Cost::Service;

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.connection)
    }

    fn ports(&self) -> Ports {
        Ports::sink(&[Flow::Vectors, Flow::Chunks, Flow::Records, Flow::Document, Flow::Bytes])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        problems.range("batchSize", self.batch_size, 1, MAX_BATCH_SIZE);
        let mut invalid = |field: &str, message: String| {
            problems.add(ProblemCode::InvalidSetting, field, message, "use another name");
        };
        if !is_name(&self.into, MAX_PLACE_BYTES) {
            invalid("into", format!("must have 1 to {MAX_PLACE_BYTES} bytes and no control characters"));
        }
        let names = [Some(&self.id_field), self.text_field.as_ref(), self.vector_field.as_ref()];
        let own = ["idField", "textField", "vectorField"].into_iter().zip(names);
        let mut taken = Vec::new();
        for (setting, name) in own.filter_map(|(setting, name)| Some((setting, name?))) {
            if !is_name(name, MAX_NAME_BYTES) {
                invalid(setting, format!("must have 1 to {MAX_NAME_BYTES} bytes and no control characters"));
            }
            if taken.contains(&name) || self.fields.contains_key(name) {
                invalid(setting, format!("`{name}` is there twice"));
            }
            taken.push(name);
        }
        if self.fields.len() > MAX_FIELDS {
            let message = format!("has more than {MAX_FIELDS} fields");
            problems.add(ProblemCode::InvalidSetting, "fields", message, "remove some");
        }
        for (name, expression) in self.fields.iter().take(MAX_FIELDS) {
            if !is_name(name, MAX_NAME_BYTES) {
                let message = format!("the name `{name}` must have 1 to {MAX_NAME_BYTES} bytes");
                problems.add(ProblemCode::InvalidSetting, "fields", message, "rename the field");
            }
            expression::validate(expression, Expected::Any, &format!("fields.{name}"), problems);
        }
        expression::validate(&self.object.name, Expected::Any, "object.name", problems);
    }

    fn border(&self) -> Option<Border> {
        Some(Border::Durable)
    }

    fn lane(&self) -> Lane {
        Lane::Model
    }

    fn example() -> Self {
        let fields = [("title", "file.name"), ("page", "has(item.page) ? item.page : 0")];
        Self {
            connection: ConnectionId(EXAMPLE_CONNECTION.parse().unwrap_or_default()),
            into: "documents".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            id_field: default_id_field(),
            text_field: default_text_field(),
            vector_field: Some("vector".to_owned()),
            batch_size: default_batch_size(),
            object: ObjectSettings::default(),
        }
    }
}
