//! Connections to other systems: which providers there are, and what their settings mean.
//!
//! A provider is a file with a [`ProviderSpec`] and a line in [`providers`]; what it does is in the worker.

pub mod embedding;
mod limits;
pub mod mail;
pub mod model;
pub mod oauth;
pub mod objects;
mod provider;
pub mod relational;
pub mod reranking;
mod setting;
pub mod vectors;
pub mod web;

use std::sync::LazyLock;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

pub use self::{
    limits::{CallLimits, CallRate},
    provider::{Address, Capability, Provider, ProviderSpec},
    setting::{InvalidSetting, read},
};

/// The kind of the systems that a provider connects with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// Language models.
    Model,
    /// Models that compute embeddings.
    Embedding,
    /// Models that rerank passages.
    Reranking,
    /// Stores of objects or files.
    Objects,
    /// Websites and services over HTTP.
    Web,
    /// Mailboxes.
    Mail,
    /// Relational databases.
    Relational,
    /// Vector stores.
    Vectors,
}

impl ConnectionKind {
    /// The identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Embedding => "embedding",
            Self::Reranking => "reranking",
            Self::Objects => "objects",
            Self::Web => "web",
            Self::Mail => "mail",
            Self::Relational => "relational",
            Self::Vectors => "vectors",
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
    /// The step, such as `address` or `answer`.
    pub name: String,
    /// Whether it succeeded.
    pub ok: bool,
    /// One sentence for people; contains no secret.
    pub detail: String,
    /// Why it failed, for programs, where the step knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether the check succeeds without it.
    #[serde(default)]
    pub optional: bool,
}

impl CheckStep {
    /// A step that the check needs.
    #[must_use]
    pub fn new(name: &str, ok: bool, detail: String) -> Self {
        Self { name: name.to_owned(), ok, detail, code: None, optional: false }
    }

    /// Whether the check fails because of it.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !self.ok && !self.optional
    }
}

/// A question to the system behind a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum ConnectionQuery {
    /// Which streams it has.
    Discover,
    /// The first objects of a stream.
    Browse {
        /// The stream, in the form of the provider.
        stream: serde_json::Map<String, Value>,
        /// The largest number of objects.
        limit: u32,
    },
}

impl ConnectionQuery {
    /// The identifier.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Browse { .. } => "browse",
        }
    }
}

/// All providers, in the order of the documentation.
static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    vec![
        Provider::of::<model::OpenAi>(),
        Provider::of::<model::Anthropic>(),
        Provider::of::<model::Gemini>(),
        Provider::of::<model::Cohere>(),
        Provider::of::<model::Ollama>(),
        Provider::of::<objects::S3>(),
        Provider::of::<objects::Gcs>(),
        Provider::of::<objects::AzureBlob>(),
        Provider::of::<objects::WebDav>(),
        Provider::of::<objects::Sftp>(),
        Provider::of::<objects::LocalFolder>(),
        Provider::of::<web::Website>(),
        Provider::of::<web::Rest>(),
        Provider::of::<web::Git>(),
        Provider::of::<mail::Imap>(),
        Provider::of::<relational::PostgreSql>(),
        Provider::of::<relational::MySql>(),
        Provider::of::<vectors::Qdrant>(),
        Provider::of::<vectors::Weaviate>(),
        Provider::of::<vectors::Milvus>(),
        Provider::of::<vectors::Pinecone>(),
        Provider::of::<embedding::OpenAiEmbeddings>(),
        Provider::of::<reranking::Jina>(),
        Provider::of::<reranking::Tei>(),
    ]
});

/// All providers, in the order of the documentation.
#[must_use]
pub fn providers() -> &'static [Provider] {
    &PROVIDERS
}

/// The provider of this identifier.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    providers().iter().find(|provider| provider.name == name)
}

/// Checks the settings and the credentials of a connection.
///
/// # Errors
/// Every [`InvalidSetting`], with a path that begins with `settings` or `credentials`.
pub fn validate(name: &str, settings: &Value, credentials: Option<&Value>) -> Result<(), Vec<InvalidSetting>> {
    let Some(provider) = provider(name) else {
        let names: Vec<_> = providers().iter().map(|provider| format!("`{}`", provider.name)).collect();
        return Err(vec![InvalidSetting::new("provider", format!("must be one of {}", names.join(", ")))]);
    };
    let mut problems = within("settings", provider.settings_problems(settings));
    if let Some(credentials) = credentials {
        problems.extend(within("credentials", provider.credentials_problems(credentials)));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn within(root: &str, problems: Vec<InvalidSetting>) -> Vec<InvalidSetting> {
    let prefixed = problems.into_iter().map(|problem| InvalidSetting {
        field: if problem.field.is_empty() { root.to_owned() } else { format!("{root}.{}", problem.field) },
        ..problem
    });
    prefixed.collect()
}

/// Why an address of a server over HTTP is not one; `None`: it is.
fn url_problem(field: &str, url: &Url) -> Option<InvalidSetting> {
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Some(InvalidSetting::new(field, "must be an http or https address"));
    }
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (!is_plain).then(|| InvalidSetting::new(field, "must have no user, password or query"))
}
