//! Connections to other systems: one contract for reading ([`source`]), one for writing ([`target`]), and one path for limits, circuits and waits
//! of all providers ([`gate`]).
//!
//! A provider is a file here and a line in [`SOURCES`] or [`TARGETS`]; its settings are declared in `nvisy_shared::domain::connection`.

pub mod failure;
pub mod gate;
mod milvus;
mod objects;
mod pinecone;
mod qdrant;
mod rest;
pub mod source;
mod sql;
pub mod target;
mod weaviate;

use nvisy_shared::{
    crypt::{self, KeyPurpose, envelope},
    domain::connection::{self, Address, CheckStep, InvalidSetting, model::CallRate},
    entity::connection::Model,
    id::{ConnectionId, WorkspaceId},
    secret::Secret,
    store,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::{
    failure::CallFailure,
    source::{CheckResult, FetchedObject, ListRequest, ListedObject, Listing, ObjectFailure, Page, Source, Stream},
    target::{Place, Row, Target},
};
use crate::{context::Context, runner::JobError};

/// A connection whose credentials are opened.
#[derive(Clone, Debug)]
pub struct OpenConnection {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The connection.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The identifier of its provider.
    pub provider: String,
    /// Its settings.
    pub settings: Value,
    credentials: Option<Secret<Value>>,
}

impl OpenConnection {
    /// Opens the credentials of a connection.
    ///
    /// # Errors
    /// When the row was changed behind our back, or another key sealed it.
    pub fn open(cx: &Context, workspace: WorkspaceId, row: Model) -> Result<Self, JobError> {
        let credentials = match &row.credentials {
            None => None,
            Some(sealed) => {
                let key = cx.keys.derive(workspace, KeyPurpose::Connection);
                let opened = envelope::open(&key, &crypt::connection_owner(workspace, row.id), sealed)
                    .map_err(JobError::retry("the credentials of a connection cannot be opened"))?;
                let json = serde_json::from_slice(opened.expose()).map_err(|_| {
                    JobError::retry("the credentials of a connection cannot be read")("they are not JSON")
                })?;
                Some(Secret::new(json))
            }
        };
        let Model { id, name, provider, settings, .. } = row;
        Ok(Self { workspace, id, name, provider, settings, credentials })
    }

    /// Finds a connection and opens it. `None`: there is none. A disabled one is waited for.
    ///
    /// # Errors
    /// As [`OpenConnection::open`].
    pub async fn find(cx: &Context, workspace: WorkspaceId, id: ConnectionId) -> Result<Option<Self>, JobError> {
        let Some(row) = store::connection::find(&cx.db, workspace, id).await? else { return Ok(None) };
        if !row.enabled {
            let reason = format!("the connection `{}` is disabled", row.name);
            return Err(JobError::Blocked { reason, delay: gate::BLOCKED_DELAY });
        }
        Self::open(cx, workspace, row).map(Some)
    }

    /// The settings in the form of the provider.
    ///
    /// # Errors
    /// [`InvalidSetting`] when an older version of the provider wrote them.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, InvalidSetting> {
        connection::read(&self.settings)
    }

    /// The credentials in the form of the provider.
    ///
    /// # Errors
    /// [`InvalidSetting`], which quotes nothing.
    pub fn credentials<T: DeserializeOwned>(&self) -> Result<Option<T>, InvalidSetting> {
        self.credentials.as_ref().map(|credentials| connection::read(credentials.expose())).transpose()
    }

    /// A text without the values of the credentials, which some servers quote.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(credentials) = &self.credentials {
            hide(credentials.expose(), &mut text);
        }
        text
    }

    /// The settings `concurrency` and `rateLimit`, which every provider has.
    #[must_use]
    pub fn limits(&self) -> gate::CallLimits {
        let concurrency = self.settings.get("concurrency").and_then(Value::as_u64);
        gate::CallLimits {
            concurrency: concurrency.and_then(|limit| u32::try_from(limit).ok()),
            rate: self.settings.get("rateLimit").and_then(|rate| connection::read::<CallRate>(rate).ok()),
        }
    }
}

/// Shorter values of credentials are not hidden, because they are words of many texts.
const MIN_HIDDEN_CHARS: usize = 4;

fn hide(value: &Value, text: &mut String) {
    match value {
        Value::String(secret) if secret.len() >= MIN_HIDDEN_CHARS && text.contains(secret.as_str()) => {
            *text = text.replace(secret.as_str(), "[hidden]");
        }
        Value::Array(values) => values.iter().for_each(|value| hide(value, text)),
        Value::Object(fields) => fields.values().for_each(|value| hide(value, text)),
        _ => {}
    }
}

/// Opens the source of a connection; makes no call.
type OpenSource = fn(&Context, &OpenConnection) -> Result<Box<dyn Source>, CallFailure>;

/// What opens the sources, by provider.
const SOURCES: &[(&str, OpenSource)] = &[
    ("s3", objects::open_s3),
    ("gcs", objects::open_gcs),
    ("azure_blob", objects::open_azure_blob),
    ("webdav", objects::open_webdav),
    ("sftp", objects::open_sftp),
    ("local_folder", objects::open_local_folder),
    ("postgresql", sql::source),
    ("mysql", sql::source),
];

/// Opens the target of a connection; makes no call.
type OpenTarget = fn(&Context, &OpenConnection) -> Result<Box<dyn Target>, CallFailure>;

/// What opens the targets, by provider.
const TARGETS: &[(&str, OpenTarget)] = &[
    ("postgresql", sql::target),
    ("mysql", sql::target),
    ("qdrant", |cx, connection| Ok(Box::new(qdrant::Qdrant(rest::Server::new(cx, connection)?)))),
    ("weaviate", |cx, connection| Ok(Box::new(weaviate::Weaviate(rest::Server::new(cx, connection)?)))),
    ("milvus", |cx, connection| Ok(Box::new(milvus::Milvus(rest::Server::new(cx, connection)?)))),
    ("pinecone", |cx, connection| Ok(Box::new(pinecone::Pinecone(rest::Server::new(cx, connection)?)))),
];

/// The target of a connection.
///
/// # Errors
/// [`CallFailure::Item`] when the provider has none, [`CallFailure::Blocked`] when the settings cannot be used.
pub fn open_target(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Target>, CallFailure> {
    let open = TARGETS.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) =
        open.ok_or_else(|| target::mismatch(format!("the connection `{}` cannot be written to", connection.name)))?;
    open(cx, connection)
}

/// The steps of a check, up to the first that fails.
pub async fn check(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    if TARGETS.iter().any(|(provider, _)| *provider == connection.provider) {
        return check_target(cx, connection).await;
    }
    match open_source(cx, connection) {
        Ok(source) => source.check(None).await,
        Err(failure) => vec![target::step("address", Err(failure.to_string()))],
    }
}

async fn check_target(cx: &Context, connection: &OpenConnection) -> Vec<CheckStep> {
    let address =
        connection::provider(&connection.provider).and_then(|provider| provider.address(&connection.settings));
    let Some(Address { url, .. }) = address else {
        return vec![target::step("address", Err("the connection has no address".to_owned()))];
    };
    let host = url.host_str().unwrap_or_default();
    let resolved = cx.outbound.resolve(host, url.port_or_known_default().unwrap_or_default()).await;
    let mut steps = vec![target::step(
        "address",
        match resolved {
            Ok(_) => Ok(format!("{host} may be called")),
            Err(failure) => Err(failure.to_string()),
        },
    )];
    if steps[0].ok {
        steps.extend(match open_target(cx, connection) {
            Ok(target) => target.check().await,
            Err(failure) => vec![target::step("settings", Err(failure.to_string()))],
        });
    }
    steps
}

/// The source of a connection.
///
/// # Errors
/// [`CallFailure::Blocked`] when the provider has none, or the settings cannot be used.
pub fn open_source(cx: &Context, connection: &OpenConnection) -> Result<Box<dyn Source>, CallFailure> {
    let open = SOURCES.iter().find(|(provider, _)| *provider == connection.provider);
    let (_, open) = open.ok_or_else(|| {
        CallFailure::Blocked(format!("this worker cannot read from connections of `{}`", connection.provider))
    })?;
    open(cx, connection)
}
