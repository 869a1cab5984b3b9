//! Connections to other systems: which providers there are, and what their settings mean.

pub mod model;

use std::fmt;

use json_schema::{JsonSchema, Schema, generate::SchemaSettings};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::model::{ModelCredentials, ModelProvider, ModelSettings};

/// The kind of the systems that a provider connects with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// Language models.
    Model,
}

impl ConnectionKind {
    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
        }
    }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// A worker has not finished it yet.
    Running,
    /// Every step succeeded.
    Ok,
    /// A step failed.
    Failed,
}

impl CheckState {
    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// A step of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckStep {
    /// The step: `address`, `answer`, `json`.
    pub name: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// One sentence for people; contains no secret.
    pub detail: String,
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
    pub capabilities: &'static [&'static str],
    /// The JSON Schema of the settings.
    pub settings: Schema,
    /// The JSON Schema of the credentials.
    pub credentials: Schema,
    /// Whether a connection must have credentials.
    pub needs_credentials: bool,
}

/// All providers.
#[must_use]
pub fn providers() -> Vec<Provider> {
    ModelProvider::ALL
        .iter()
        .map(|provider| Provider {
            name: provider.name(),
            title: provider.title(),
            kind: ConnectionKind::Model,
            capabilities: &["chat", "images", "json"],
            settings: schema::<ModelSettings>(),
            credentials: schema::<ModelCredentials>(),
            needs_credentials: provider.needs_key(),
        })
        .collect()
}

/// The kind of a provider's connections; `None`: no provider has this name.
#[must_use]
pub fn kind_of(provider: &str) -> Option<ConnectionKind> {
    ModelProvider::parse(provider).map(|_| ConnectionKind::Model)
}

fn schema<T: JsonSchema>() -> Schema {
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    generator.into_generator().into_root_schema_for::<T>()
}

/// A setting that a provider does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The path of the field; empty: the whole.
    pub field: String,
    /// The rule that is violated. It quotes no value, which may be secret.
    pub message: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl InvalidSetting {
    fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

/// Reads settings or credentials. Messages name the field and the expected type only.
///
/// # Errors
/// [`InvalidSetting`] with the first field that has another shape.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, InvalidSetting> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        // Other texts of serde quote the value.
        let message = ["missing field", "unknown field", "unknown variant"].iter().any(|known| text.starts_with(known));
        let field = if path == "." { String::new() } else { path };
        InvalidSetting {
            field,
            message: if message { text } else { "has another type or form than the schema".to_owned() },
        }
    })
}

/// Checks the settings and the credentials of a connection.
///
/// # Errors
/// Every [`InvalidSetting`], with a path that begins with `settings` or `credentials`.
pub fn validate(provider: &str, settings: &Value, credentials: Option<&Value>) -> Result<(), Vec<InvalidSetting>> {
    let Some(provider) = ModelProvider::parse(provider) else {
        let names: Vec<_> = ModelProvider::ALL.iter().map(|provider| format!("`{}`", provider.name())).collect();
        return Err(vec![InvalidSetting::new("provider", format!("must be one of {}", names.join(", ")))]);
    };
    let within = |root: &str, invalid: InvalidSetting| InvalidSetting {
        field: if invalid.field.is_empty() { root.to_owned() } else { format!("{root}.{}", invalid.field) },
        ..invalid
    };
    let mut problems = Vec::new();
    match read::<ModelSettings>(settings) {
        Ok(settings) => problems.extend(settings.problems(provider).into_iter().map(|one| within("settings", one))),
        Err(invalid) => problems.push(within("settings", invalid)),
    }
    match credentials.map(read::<ModelCredentials>) {
        Some(Ok(credentials)) => {
            problems.extend(credentials.problems().into_iter().map(|one| within("credentials", one)));
        }
        Some(Err(invalid)) => problems.push(within("credentials", invalid)),
        None => {}
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
