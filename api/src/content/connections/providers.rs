//! The providers of connections, described for editors.

use std::sync::LazyLock;

use apistos::{ApiComponent, api_operation};
use nvisy_shared::domain::connection;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{auth::account::CurrentAccount, http::extract::Json, problem::Problem};

/// The providers of connections.
#[derive(Clone, Debug, Serialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct Providers {
    /// The providers.
    items: Vec<Provider>,
}

/// A provider of connections.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionProvider")]
pub struct Provider {
    /// The identifier: `provider` of a connection.
    name: String,
    /// The name for people.
    title: String,
    /// The kind of its connections: `model`, `embedding`, `reranking`, `objects`, `web`, `mail`, `relational` or
    /// `vectors`.
    kind: String,
    /// The abilities of its connections.
    capabilities: Vec<String>,
    /// The JSON Schema of `settings`.
    settings_schema: Value,
    /// The JSON Schema of `credentials`.
    credentials_schema: Value,
    /// The JSON Schema of `stream` of a `source.connection`; absent: documents are not read through such connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_schema: Option<Value>,
    /// Whether a connection must have credentials.
    needs_credentials: bool,
}

/// The same for every caller.
static PROVIDERS: LazyLock<Providers> = LazyLock::new(|| Providers {
    items: connection::providers()
        .iter()
        .map(|of| Provider {
            name: of.name.to_owned(),
            title: of.title.to_owned(),
            kind: of.kind.name().to_owned(),
            capabilities: of.capabilities.iter().map(|capability| capability.name().to_owned()).collect(),
            settings_schema: json!(of.settings),
            credentials_schema: json!(of.credentials),
            stream_schema: of.stream.as_ref().map(|stream| json!(stream)),
            needs_credentials: of.needs_credentials,
        })
        .collect(),
});

#[api_operation(
    operation_id = "listProviders",
    tag = "connections",
    summary = "List providers",
    description = "The providers of connections, with their abilities and the JSON Schemas of settings, credentials and streams."
)]
pub async fn list(_account: CurrentAccount) -> Result<Json<Providers>, Problem> {
    Ok(Json(PROVIDERS.clone()))
}
