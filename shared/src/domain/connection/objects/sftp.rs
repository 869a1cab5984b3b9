use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{
    rules::{OBJECTS_WITH_ACL, root, text},
    stream::ObjectStream,
};
use crate::{
    domain::connection::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec, limits::CallLimits, provider::schema,
    },
    secret::Secret,
};

/// A server with SFTP.
#[derive(Debug)]
pub struct Sftp;

/// Settings of a connection to a server with SFTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SftpSettings {
    /// The host name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default = "default_port")]
    pub port: u16,
    /// The public key of the host, as `ssh-keyscan` prints it: `ssh-ed25519 AAAA..`. A host with another key gets no credentials.
    #[schemars(length(min = 1, max = 4096))]
    pub host_key: String,
    /// The folder; absent: that in which the server begins.
    #[schemars(length(max = 4096))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

const fn default_port() -> u16 {
    22
}

/// Credentials of a connection to a server with SFTP: a password or a private key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SftpCredentials {
    /// The user name.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,
    /// The password.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// The private key, in the format of OpenSSH.
    #[schemars(with = "Option<String>", length(min = 1, max = 65536))]
    #[serde(default)]
    pub private_key: Option<Secret<String>>,
    /// The passphrase of the private key.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub passphrase: Option<Secret<String>>,
}

impl ProviderSpec for Sftp {
    const NAME: &'static str = "sftp";
    const TITLE: &'static str = "SFTP";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS_WITH_ACL;
    const NEEDS_CREDENTIALS: bool = true;
    type Settings = SftpSettings;
    type Credentials = SftpCredentials;

    fn settings_problems(settings: &SftpSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if Self::address(settings).is_none() {
            problems.push(InvalidSetting::new("host", "must be a host name or an address"));
        }
        let mut parts = settings.host_key.split_whitespace();
        let kind = parts.next().unwrap_or_default();
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-"].iter().any(|known| kind.starts_with(known));
        let is_key = |key: &str| key.len() > 32 && key.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        if !known || !parts.next().is_some_and(is_key) {
            problems.push(InvalidSetting::new("hostKey", "must be a public key such as `ssh-ed25519 AAAA..`"));
        }
        root("root", &settings.root, &mut problems);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &SftpCredentials) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        text("username", &credentials.username, 256, &mut problems);
        match (&credentials.password, &credentials.private_key) {
            (Some(password), None) => text("password", password.expose(), 1024, &mut problems),
            (None, Some(key)) if key.expose().len() <= 65_536 && key.expose().contains("PRIVATE KEY") => {}
            (None, Some(_)) => {
                problems.push(InvalidSetting::new("privateKey", "must be a private key in a text format"))
            }
            _ => problems.push(InvalidSetting::new("", "must have either `password` or `privateKey`")),
        }
        problems
    }

    fn address(settings: &SftpSettings) -> Option<Address> {
        let host = if settings.host.contains(':') { format!("[{}]", settings.host) } else { settings.host.clone() };
        let url: url::Url = format!("ssh://{host}:{}", settings.port).parse().ok()?;
        let is_host_alone =
            url.username().is_empty() && url.password().is_none() && url.path().is_empty() && url.query().is_none();
        (is_host_alone && url.has_host()).then_some(Address { field: "host", url })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
