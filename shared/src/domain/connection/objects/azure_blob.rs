use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    rules::{OBJECTS, bucket, text, web_address},
    stream::ObjectStream,
};
use crate::{
    domain::connection::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec, limits::CallLimits, provider::schema,
    },
    secret::Secret,
};

/// Azure Blob Storage.
#[derive(Debug)]
pub struct AzureBlob;

/// Settings of a connection to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureBlobSettings {
    /// The storage account.
    #[schemars(length(min = 1, max = 63))]
    pub account: String,
    /// The container.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// The address of the service; absent: that of Azure for the account.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// Credentials of a connection to a container: the key of the account, or a shared access signature. Without any, the container is
/// public.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureBlobCredentials {
    /// The key of the account.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub account_key: Option<Secret<String>>,
    /// A shared access signature: the query of its URL.
    #[schemars(with = "Option<String>", length(min = 1, max = 4096))]
    #[serde(default)]
    pub sas_token: Option<Secret<String>>,
}

impl AzureBlobSettings {
    /// The address of the service.
    #[must_use]
    pub fn endpoint(&self) -> Option<Url> {
        let azure = || format!("https://{}.blob.core.windows.net/", self.account).parse().ok();
        self.endpoint.clone().or_else(azure)
    }
}

impl ProviderSpec for AzureBlob {
    const NAME: &'static str = "azure_blob";
    const TITLE: &'static str = "Azure Blob Storage";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS;
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = AzureBlobSettings;
    type Credentials = AzureBlobCredentials;

    fn settings_problems(settings: &AzureBlobSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        bucket("container", &settings.container, &mut problems);
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(1..=63).contains(&settings.account.len()) || !settings.account.chars().all(allowed) {
            problems.push(InvalidSetting::new("account", "must have 1 to 63 letters and digits"));
        }
        if let Some(endpoint) = &settings.endpoint {
            web_address("endpoint", endpoint, &mut problems);
        }
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &AzureBlobCredentials) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        match (&credentials.account_key, &credentials.sas_token) {
            (Some(key), None) => text("accountKey", key.expose(), 1024, &mut problems),
            (None, Some(token)) => text("sasToken", token.expose(), 4096, &mut problems),
            _ => problems.push(InvalidSetting::new("", "must have either `accountKey` or `sasToken`")),
        }
        problems
    }

    fn address(settings: &AzureBlobSettings) -> Option<Address> {
        Some(Address { field: "endpoint", url: settings.endpoint()? })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
