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
        Value::String(secret) => {
            hide_text(secret, text);
            // Of a shared access signature servers quote the signature without the rest, also decoded.
            for signature in secret.split('&').filter_map(|part| part.trim_start_matches('?').strip_prefix("sig=")) {
                hide_text(signature, text);
                hide_text(&percent_encoding::percent_decode_str(signature).decode_utf8_lossy(), text);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| hide(value, text)),
        Value::Object(fields) => fields.values().for_each(|value| hide(value, text)),
        _ => {}
    }
}

fn hide_text(secret: &str, text: &mut String) {
    if secret.len() >= MIN_HIDDEN_CHARS && text.contains(secret) {
        *text = text.replace(secret, "[hidden]");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_credentials_are_hidden_wherever_they_are_quoted() {
        let redacted = |credentials: Value, text: &str| {
            let connection = OpenConnection {
                workspace: WorkspaceId::new(),
                id: ConnectionId::new(),
                name: "store".to_owned(),
                provider: "azure_blob".to_owned(),
                settings: json!({}),
                credentials: Some(Secret::new(credentials)),
            };
            connection.redact(text)
        };
        let sas = json!({ "sasToken": "?sv=2021-08-06&sig=hunter2%2Fa%3D" });
        for text in ["no sv=2021-08-06&sig=hunter2%2Fa%3D.", "no hunter2%2Fa%3D.", "no hunter2/a=."] {
            assert!(redacted(sas.clone(), text).contains("[hidden]"), "{text}");
        }
        let account = json!({ "serviceAccount": { "private_key": "hunter2\nkey", "type": "service_account" } });
        assert_eq!(redacted(account, "the key hunter2\nkey"), "the key [hidden]");
        assert_eq!(redacted(json!({ "password": "abc" }), "an abc"), "an abc");
    }
}
