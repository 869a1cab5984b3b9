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

/// Amazon S3, and every store that is compatible with it.
#[derive(Debug)]
pub struct S3;

/// Settings of a connection to a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Settings {
    /// The bucket.
    #[schemars(length(min = 1, max = 255))]
    pub bucket: String,
    /// The region.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default = "default_region")]
    pub region: String,
    /// The address of the store; absent: that of Amazon in the region.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
    /// Whether the bucket is a part of the host name and not of the path.
    #[serde(default)]
    pub virtual_host: bool,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// Credentials of a connection to a bucket. Without any, the bucket is public.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Credentials {
    /// The id of the access key.
    #[schemars(length(min = 1, max = 256))]
    pub access_key_id: String,
    /// The secret access key.
    #[schemars(with = "String", length(min = 1, max = 4096))]
    pub secret_access_key: Secret<String>,
    /// The token of temporary credentials.
    #[schemars(with = "Option<String>", length(min = 1, max = 8192))]
    #[serde(default)]
    pub session_token: Option<Secret<String>>,
}

impl S3Settings {
    /// The address of the store.
    #[must_use]
    pub fn endpoint(&self) -> Option<Url> {
        let amazon = || format!("https://s3.{}.amazonaws.com/", self.region).parse().ok();
        self.endpoint.clone().or_else(amazon)
    }
}

impl ProviderSpec for S3 {
    const NAME: &'static str = "s3";
    const TITLE: &'static str = "Amazon S3, or a compatible store";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS;
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = S3Settings;
    type Credentials = S3Credentials;

    fn settings_problems(settings: &S3Settings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        bucket("bucket", &settings.bucket, &mut problems);
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=63).contains(&settings.region.len()) || !settings.region.chars().all(allowed) {
            problems.push(InvalidSetting::new("region", "must have 1 to 63 letters, digits and `-`"));
        }
        if let Some(endpoint) = &settings.endpoint {
            web_address("endpoint", endpoint, &mut problems);
        }
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &S3Credentials) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        text("accessKeyId", &credentials.access_key_id, 256, &mut problems);
        text("secretAccessKey", credentials.secret_access_key.expose(), 4096, &mut problems);
        if let Some(token) = &credentials.session_token {
            text("sessionToken", token.expose(), 8192, &mut problems);
        }
        problems
    }

    fn address(settings: &S3Settings) -> Option<Address> {
        Some(Address { field: "endpoint", url: settings.endpoint()? })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
