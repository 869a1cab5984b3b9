use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    rules::{OBJECTS, root, text, web_address},
    stream::ObjectStream,
};
use crate::{
    domain::connection::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec, limits::CallLimits, provider::schema,
    },
    secret::Secret,
};

/// A WebDAV server, such as Nextcloud.
#[derive(Debug)]
pub struct WebDav;

/// Settings of a connection to a WebDAV server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebDavSettings {
    /// The address of the server, up to the folder of the user.
    #[schemars(with = "String")]
    pub url: Url,
    /// The folder below the address; absent: all.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// Credentials of a connection to a WebDAV server: user name and password, or a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebDavCredentials {
    /// The user name.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// A token, which is sent as `Authorization: Bearer`.
    #[schemars(with = "Option<String>", length(min = 1, max = 8192))]
    #[serde(default)]
    pub token: Option<Secret<String>>,
}

impl ProviderSpec for WebDav {
    const NAME: &'static str = "webdav";
    const TITLE: &'static str = "WebDAV";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS;
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = WebDavSettings;
    type Credentials = WebDavCredentials;

    fn settings_problems(settings: &WebDavSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        web_address("url", &settings.url, &mut problems);
        root("root", &settings.root, &mut problems);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &WebDavCredentials) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        match (&credentials.username, &credentials.password, &credentials.token) {
            (Some(username), Some(password), None) => {
                text("username", username, 256, &mut problems);
                text("password", password.expose(), 1024, &mut problems);
            }
            (None, None, Some(token)) => text("token", token.expose(), 8192, &mut problems),
            _ => problems.push(InvalidSetting::new("", "must have either `username` and `password`, or `token`")),
        }
        problems
    }

    fn address(settings: &WebDavSettings) -> Option<Address> {
        Some(Address { field: "url", url: settings.url.clone() })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
