//! Connections to mailboxes.

use chrono::NaiveDate;
use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{CallLimits, range},
    oauth::OAuthCredentials,
    provider::schema,
};
use crate::secret::Secret;

/// Maximum number of patterns of folders.
const MAX_FOLDERS: usize = 100;
/// Maximum length of a pattern of folders, in bytes.
const MAX_FOLDER_BYTES: usize = 1_000;

/// A mailbox that is read with IMAP.
#[derive(Debug)]
pub struct Imap;

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum MailEncryption {
    /// From its first byte on.
    #[default]
    Tls,
    /// After a command in plain text, before the credentials.
    Starttls,
    /// Not at all: only to addresses in networks that the operator has allowed.
    None,
}

/// Settings of a connection to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImapSettings {
    /// The name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port; absent: 993, and 143 unless it is encrypted from the first byte on.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Encryption. The certificate must be valid for the host.
    #[serde(default)]
    pub tls: MailEncryption,
    /// Certificates in PEM of the authority that is trusted, beside the public ones.
    #[schemars(length(max = 65536))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
    /// The longest wait for a response, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

const fn default_timeout() -> u32 {
    60
}

/// Credentials of a connection to a mailbox.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImapCredentials {
    /// The user, often the address.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,
    /// The password; of providers with a second factor one for this application.
    #[schemars(with = "Option<String>", length(min = 1, max = 1024))]
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// Access tokens in place of a password (XOAUTH2).
    #[serde(default)]
    pub oauth: Option<OAuthCredentials>,
}

/// The setting `stream` of a `source.connection` that reads mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailStream {
    /// Names of folders or patterns, with `/` between levels, such as `INBOX` or `Archive/**`; absent: all but those for drafts, junk,
    /// trash and views of all mail.
    #[schemars(length(max = 100))]
    pub folders: Vec<String>,
    /// The date of the first messages, by their arrival; absent: all.
    #[schemars(with = "Option<String>")]
    pub since: Option<NaiveDate>,
}

impl MailStream {
    /// Everything that the schema does not say, except whether patterns can be read.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if self.folders.len() > MAX_FOLDERS {
            problems.push(InvalidSetting::new("folders", format!("has more than {MAX_FOLDERS} patterns")));
        }
        if self.folders.iter().any(|pattern| !(1..=MAX_FOLDER_BYTES).contains(&pattern.len())) {
            problems.push(InvalidSetting::new("folders", format!("must have 1 to {MAX_FOLDER_BYTES} bytes each")));
        }
        problems
    }
}

impl ImapSettings {
    /// The port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailEncryption::Tls => 993,
            MailEncryption::Starttls | MailEncryption::None => 143,
        })
    }
}

impl ProviderSpec for Imap {
    const NAME: &'static str = "imap";
    const TITLE: &'static str = "IMAP mailbox";
    const KIND: ConnectionKind = ConnectionKind::Mail;
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Discover, Capability::Read, Capability::ListIds, Capability::Incremental];
    const NEEDS_CREDENTIALS: bool = true;
    type Settings = ImapSettings;
    type Credentials = ImapCredentials;

    fn settings_problems(settings: &ImapSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if Self::address(settings).is_none() {
            problems.push(InvalidSetting::new("host", "must be a host name or an address"));
        }
        if settings.ca_certificate.as_ref().is_some_and(|pem| pem.len() > 65_536 || !pem.contains("BEGIN CERTIFICATE"))
        {
            problems.push(InvalidSetting::new("caCertificate", "must have certificates in PEM"));
        }
        range(&mut problems, "timeoutSeconds", settings.timeout_seconds, 1, 600);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &ImapCredentials) -> Vec<InvalidSetting> {
        let mut problems = match (&credentials.password, &credentials.oauth) {
            (Some(_), None) => Vec::new(),
            (None, Some(oauth)) => oauth.problems(),
            _ => vec![InvalidSetting::new("", "must have either `password` or `oauth`")],
        };
        let password = credentials.password.as_ref().map(|password| password.expose().as_str());
        for (field, text, max) in [("username", Some(credentials.username.as_str()), 256), ("password", password, 1024)]
        {
            if text.is_some_and(|text| text.is_empty() || text.chars().count() > max || text.contains(char::is_control))
            {
                let message = format!("must have 1 to {max} characters, none of them a control character");
                problems.push(InvalidSetting::new(field, message));
            }
        }
        problems
    }

    fn address(settings: &ImapSettings) -> Option<Address> {
        let host = if settings.host.contains(':') { format!("[{}]", settings.host) } else { settings.host.clone() };
        let url: Url = format!("imap://{host}:{}", settings.port()).parse().ok()?;
        let is_host_alone =
            url.username().is_empty() && url.password().is_none() && url.path().is_empty() && url.query().is_none();
        (is_host_alone && url.has_host()).then_some(Address { field: "host", url })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<MailStream>())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::connection::{provider, validate};

    #[test]
    fn settings_of_mailboxes_are_checked() {
        let credentials = json!({ "username": "ada", "password": "p" });
        for (settings, credentials, field) in [
            (json!({ "host": "a b" }), &credentials, "settings.host"),
            (json!({ "host": "user@h" }), &credentials, "settings.host"),
            (json!({ "host": "h", "tls": "maybe" }), &credentials, "settings.tls"),
            (json!({ "host": "h", "caCertificate": "x" }), &credentials, "settings.caCertificate"),
            (json!({ "host": "h", "timeoutSeconds": 0 }), &credentials, "settings.timeoutSeconds"),
            (json!({ "host": "h" }), &json!({ "username": "a\r\nb", "password": "p" }), "credentials.username"),
        ] {
            let problems = validate("imap", &settings, Some(credentials)).unwrap_err();
            assert!(problems.iter().any(|problem| problem.field == field), "{field}: {problems:?}");
        }
        let settings = json!({ "host": "mail.example.org" });
        assert!(validate("imap", &settings, Some(&credentials)).is_ok());
        let oauth = |url: &str| json!({ "tokenUrl": url, "clientId": "c", "refreshToken": "r" });
        let fields = |credentials: serde_json::Value| {
            let problems = validate("imap", &settings, Some(&credentials)).err().unwrap_or_default();
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        let granted = oauth("https://login.example.org/token");
        assert_eq!(fields(json!({ "username": "ada", "oauth": granted })), Vec::<String>::new());
        assert_eq!(fields(json!({ "username": "ada", "password": "p", "oauth": granted })), ["credentials"]);
        assert_eq!(fields(json!({ "username": "ada" })), ["credentials"]);
        let elsewhere = json!({ "username": "ada", "oauth": oauth("ftp://h/") });
        assert_eq!(fields(elsewhere), ["credentials.oauth.tokenUrl"]);
    }

    #[test]
    fn port_follows_from_the_encryption() {
        let address = |settings| provider("imap").unwrap().address(&settings).unwrap().url.to_string();
        assert_eq!(address(json!({ "host": "h" })), "imap://h:993");
        assert_eq!(address(json!({ "host": "h", "tls": "starttls" })), "imap://h:143");
        assert_eq!(address(json!({ "host": "::1", "port": 1430 })), "imap://[::1]:1430");
    }

    #[test]
    fn patterns_of_folders_are_bounded() {
        let stream = |folders: Vec<String>| MailStream { folders, since: None }.problems().len();
        assert_eq!(stream(vec!["INBOX".to_owned(), "Archive/**".to_owned()]), 0);
        assert_eq!(stream(vec![String::new()]), 1);
        assert_eq!(stream(vec!["a".to_owned(); MAX_FOLDERS + 1]), 1);
    }
}
