//! What a provider declares, and its description for editors.

use json_schema::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    ConnectionKind,
    limits::CallLimits,
    setting::{InvalidSetting, read},
};

/// An ability of a provider's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Answers to questions (language models).
    Chat,
    /// Questions about images (language models).
    Images,
    /// Answers in the form of a JSON Schema (language models).
    Json,
    /// Vectors of texts.
    Embed,
    /// Scores of passages for a query.
    Rerank,
    /// Naming the streams that it has: buckets, tables, folders.
    Discover,
    /// Listing objects and reading them.
    Read,
    /// Saying which of known objects are still there, without reading them: incremental syncs find deletions, too.
    ListIds,
    /// Listing only what changed.
    Incremental,
    /// Saying who may read an object.
    Acl,
    /// Writing objects, rows or vectors.
    Write,
    /// Deleting what was written.
    Delete,
}

impl Capability {
    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Images => "images",
            Self::Json => "json",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Discover => "discover",
            Self::Read => "read",
            Self::ListIds => "list_ids",
            Self::Incremental => "incremental",
            Self::Acl => "acl",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// The server that gets the credentials of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The setting that names it.
    pub field: &'static str,
    /// Scheme, host and port.
    pub url: url::Url,
}

/// What a provider declares.
pub trait ProviderSpec: 'static {
    /// The identifier.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str;
    /// The kind of its connections.
    const KIND: ConnectionKind;
    /// What its connections can do.
    const CAPABILITIES: &'static [Capability];
    /// Whether a connection must have credentials.
    const NEEDS_CREDENTIALS: bool;
    /// The largest number of calls at the same time where the setting `concurrency` is absent; `None`: any.
    const DEFAULT_CONCURRENCY: Option<u32> = None;
    /// The settings.
    type Settings: DeserializeOwned + JsonSchema;
    /// The credentials.
    type Credentials: DeserializeOwned + JsonSchema;

    /// Everything that the schema of the settings does not say.
    fn settings_problems(settings: &Self::Settings) -> Vec<InvalidSetting>;

    /// Everything that the schema of the credentials does not say.
    fn credentials_problems(credentials: &Self::Credentials) -> Vec<InvalidSetting>;

    /// The server of the settings; `None`: they name none. Credentials must be given again when it changes, because they would be
    /// sent there.
    fn address(settings: &Self::Settings) -> Option<Address>;

    /// The JSON Schema of the setting `stream` of sources; `None`: documents are not read through such connections.
    fn stream() -> Option<Schema> {
        None
    }
}

/// A provider of connections, described for editors.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The identifier.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The kind of its connections.
    pub kind: ConnectionKind,
    /// What its connections can do.
    pub capabilities: &'static [Capability],
    /// The JSON Schema of the settings.
    pub settings: Schema,
    /// The JSON Schema of the credentials.
    pub credentials: Schema,
    /// The JSON Schema of the setting `stream` of sources; `None`: documents are not read through such connections.
    pub stream: Option<Schema>,
    /// Whether a connection must have credentials.
    pub needs_credentials: bool,
    /// The largest number of calls at the same time where the setting `concurrency` is absent.
    pub default_concurrency: Option<u32>,
    settings_problems: fn(&Value) -> Vec<InvalidSetting>,
    credentials_problems: fn(&Value) -> Vec<InvalidSetting>,
    address: fn(&Value) -> Option<Address>,
}

impl Provider {
    pub(super) fn of<T: ProviderSpec>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            kind: T::KIND,
            capabilities: T::CAPABILITIES,
            settings: schema::<T::Settings>(),
            credentials: schema::<T::Credentials>(),
            stream: T::stream(),
            needs_credentials: T::NEEDS_CREDENTIALS,
            default_concurrency: T::DEFAULT_CONCURRENCY,
            settings_problems: |json| problems(json, T::settings_problems),
            credentials_problems: |json| problems(json, T::credentials_problems),
            address: |json| T::address(&read(json).ok()?),
        }
    }

    /// The problems of settings.
    #[must_use]
    pub fn settings_problems(&self, settings: &Value) -> Vec<InvalidSetting> {
        (self.settings_problems)(settings)
    }

    /// The problems of credentials. No message quotes a value.
    #[must_use]
    pub fn credentials_problems(&self, credentials: &Value) -> Vec<InvalidSetting> {
        (self.credentials_problems)(credentials)
    }

    /// The server of valid settings.
    #[must_use]
    pub fn address(&self, settings: &Value) -> Option<Address> {
        (self.address)(settings)
    }

    /// Whether connections have an ability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

fn problems<T: DeserializeOwned>(json: &Value, check: fn(&T) -> Vec<InvalidSetting>) -> Vec<InvalidSetting> {
    match read(json) {
        Ok(value) => check(&value),
        // A part that several providers share has no path within the whole.
        Err(invalid) if invalid.field.is_empty() => vec![read::<CallLimits>(json).err().unwrap_or(invalid)],
        Err(invalid) => vec![invalid],
    }
}

/// The JSON Schema of a type.
pub(super) fn schema<T: JsonSchema>() -> Schema {
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    generator.into_generator().into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::providers, Capability};

    #[test]
    fn providers_that_are_read_have_a_schema_of_their_streams() {
        for provider in providers() {
            assert_eq!(provider.stream.is_some(), provider.can(Capability::Read), "{}", provider.name);
            let schema = provider.stream.as_ref().map(|stream| stream.as_value().clone()).unwrap_or_default();
            assert!(schema.is_null() || schema["additionalProperties"] == false, "{}: {schema}", provider.name);
        }
        let schema = super::super::provider("mysql").unwrap().stream.clone().unwrap();
        assert_eq!(schema.as_value()["required"], json!(["key"]));
    }

    #[test]
    fn settings_of_every_provider_have_the_limits_and_no_unknown_field() {
        for provider in providers() {
            let schema = provider.settings.as_value();
            let name = provider.name;
            assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
            for field in ["concurrency", "rateLimit"] {
                assert!(schema["properties"][field].is_object(), "{name}: {schema}");
            }
            let fields = |settings| {
                provider.settings_problems(&settings).into_iter().map(|problem| problem.field).collect::<Vec<_>>()
            };
            assert_eq!(fields(json!({ "concurrency": "x" })), ["concurrency"], "{name}");
            assert_eq!(
                fields(json!({ "rateLimit": { "calls": "x", "perSeconds": 1 } })),
                ["rateLimit.calls"],
                "{name}"
            );
        }
        let problems =
            super::super::provider("local_folder").unwrap().settings_problems(&json!({ "path": "/a", "b": 1 }));
        assert!(problems[0].message.contains("unknown field"), "{problems:?}");
    }
}
