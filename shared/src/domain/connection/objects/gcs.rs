use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{
    rules::{OBJECTS, bucket, web_address},
    stream::ObjectStream,
};
use crate::{
    domain::connection::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec, limits::CallLimits, provider::schema,
    },
    secret::Secret,
};

/// Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs;

/// Settings of a connection to a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcsSettings {
    /// The bucket.
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// The address of the service; absent: that of Google.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// Credentials of a connection to a bucket. Without any, the bucket is public.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcsCredentials {
    /// The key file of a service account, as Google issues it.
    #[schemars(with = "Map<String, Value>")]
    pub service_account: Secret<Value>,
}

impl GcsSettings {
    /// The address of the service.
    #[must_use]
    pub fn endpoint(&self) -> Option<Url> {
        self.endpoint.clone().or_else(|| "https://storage.googleapis.com/".parse().ok())
    }
}

impl ProviderSpec for Gcs {
    const NAME: &'static str = "gcs";
    const TITLE: &'static str = "Google Cloud Storage";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS;
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = GcsSettings;
    type Credentials = GcsCredentials;

    fn settings_problems(settings: &GcsSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        bucket("bucket", &settings.bucket, &mut problems);
        if let Some(endpoint) = &settings.endpoint {
            web_address("endpoint", endpoint, &mut problems);
        }
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &GcsCredentials) -> Vec<InvalidSetting> {
        let account = credentials.service_account.expose();
        // The other types name files, programs and addresses that a worker would read, start and call.
        if account.get("type").and_then(Value::as_str) != Some("service_account") {
            return vec![InvalidSetting::new("serviceAccount.type", "must be `service_account`")];
        }
        let missing = ["client_email", "private_key"]
            .into_iter()
            .filter(|field| !account.get(field).is_some_and(Value::is_string));
        missing.map(|field| InvalidSetting::new(&format!("serviceAccount.{field}"), "must be a string")).collect()
    }

    fn address(settings: &GcsSettings) -> Option<Address> {
        Some(Address { field: "endpoint", url: settings.endpoint()? })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
