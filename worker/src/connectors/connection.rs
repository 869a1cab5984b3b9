//! A connection whose credentials are opened: only workers have one.

use nvisy_shared::{
    crypt::{self, KeyPurpose, envelope},
    domain::connection::{self, CallLimits, InvalidSetting},
    entity::connection::Model,
    id::{ConnectionId, WorkspaceId},
    secret::Secret,
    store,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{failure::Redact, gate};
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
    /// When the row was changed without the API, or another key sealed it.
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

    /// The settings `concurrency` and `rateLimit`, which every provider has.
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        let limits = connection::read::<CallLimits>(&self.settings).unwrap_or_default();
        let default = || connection::provider(&self.provider).and_then(|provider| provider.default_concurrency);
        CallLimits { concurrency: limits.concurrency.or_else(default), ..limits }
    }
}

impl Redact for OpenConnection {
    /// Without the values of the credentials, which some servers quote.
    fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(credentials) = &self.credentials {
            hide(credentials.expose(), &mut text);
        }
        text
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
