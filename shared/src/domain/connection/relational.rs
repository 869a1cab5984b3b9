//! Connections to relational databases.

use std::collections::BTreeSet;

use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{CallLimits, range},
    provider::schema,
};
use crate::secret::Secret;

/// A protocol of relational databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL, and databases that speak its protocol.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// The identifier of the provider.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
        }
    }

    /// The dialect of this provider.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::PostgreSql, Self::MySql].into_iter().find(|dialect| dialect.name() == name)
    }

    /// The port where the settings name none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::PostgreSql => 5432,
            Self::MySql => 3306,
        }
    }
}

/// What every database can do.
const CAPABILITIES: &[Capability] = &[
    Capability::Discover,
    Capability::Read,
    Capability::ListIds,
    Capability::Incremental,
    Capability::Write,
    Capability::Delete,
];

macro_rules! relational_providers {
    ($($provider:ident, $title:literal;)+) => {
        $(
            #[doc = concat!("The provider of [`Dialect::", stringify!($provider), "`].")]
            #[derive(Debug)]
            pub struct $provider;

            impl ProviderSpec for $provider {
                const NAME: &'static str = Dialect::$provider.name();
                const TITLE: &'static str = $title;
                const KIND: ConnectionKind = ConnectionKind::Relational;
                const CAPABILITIES: &'static [Capability] = CAPABILITIES;
                const NEEDS_CREDENTIALS: bool = true;
                type Settings = DatabaseSettings;
                type Credentials = DatabaseCredentials;

                fn settings_problems(settings: &DatabaseSettings) -> Vec<InvalidSetting> {
                    settings.problems()
                }

                fn credentials_problems(credentials: &DatabaseCredentials) -> Vec<InvalidSetting> {
                    credentials.problems()
                }

                fn address(settings: &DatabaseSettings) -> Option<Address> {
                    let url = settings.url(Dialect::$provider)?;
                    Some(Address { field: "host", url })
                }

                fn stream() -> Option<Schema> {
                    Some(schema::<RowStream>())
                }
            }
        )+
    };
}

relational_providers! {
    PostgreSql, "PostgreSQL";
    MySql, "MySQL or MariaDB";
}

/// Whether a connection is encrypted, and whose certificate is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// Encrypted; the certificate must be valid for the host.
    #[default]
    Verify,
    /// Encrypted; any certificate is accepted, so that an attacker on the way can read everything.
    Require,
    /// Not encrypted.
    Off,
}

/// Settings of a connection to a relational database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseSettings {
    /// The name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port; absent: 5432 of PostgreSQL, 3306 of MySQL.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The name of the database.
    #[schemars(length(min = 1, max = 63))]
    pub database: String,
    /// Encryption.
    #[serde(default)]
    pub tls: TlsMode,
    /// Certificates in PEM of the authority that is trusted, beside the public ones.
    #[schemars(length(max = 65536))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
    /// The longest time of a statement, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// Maximum length of a query or a template, in bytes.
const MAX_TEXT_BYTES: usize = 20_000;

/// The setting `stream` of a `source.connection` that reads rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowStream {
    /// The table or view, with its schema if it is not the default one.
    #[schemars(length(min = 1, max = 255))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A query in place of a table. It runs in a transaction that can only read.
    #[schemars(length(min = 1, max = 20000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The column that identifies a row: unique, and never null.
    #[schemars(length(min = 1, max = 63))]
    pub key: String,
    /// The column that grows with every change of a row, such as the time of the change. Without one, contents are compared.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The column that has the name of the file.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The text of the file, with the values of columns in place of `{column}`; absent: the row as JSON.
    #[schemars(length(min = 1, max = 20000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The channel of PostgreSQL whose `NOTIFY` starts a sync, beside the schedule. A payload names the keys that changed.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl RowStream {
    /// Everything that the schema does not say.
    #[must_use]
    pub fn problems(&self, dialect: Dialect) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        if self.channel.is_some() && dialect != Dialect::PostgreSql {
            problems.push(InvalidSetting::new("channel", "only PostgreSQL has channels"));
        }
        if self.table.is_some() == self.query.is_some() {
            problems.push(InvalidSetting::new("table", "must be set, or `query`, and not both"));
        }
        let texts = [("query", &self.query), ("template", &self.template)];
        for (field, text) in texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?))) {
            if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES || text.contains('\0') {
                problems.push(InvalidSetting::new(field, format!("must have 1 to {MAX_TEXT_BYTES} bytes")));
            }
        }
        if self.template.is_some() && self.columns().is_none() {
            problems.push(InvalidSetting::new("template", "has a `{` without its `}`"));
        }
        let names = [("table", self.table.as_ref(), 255), ("key", Some(&self.key), 63)];
        let others = [("cursor", &self.cursor), ("name", &self.name), ("channel", &self.channel)];
        let others = others.into_iter().map(|(field, name)| (field, name.as_ref(), 63));
        for (field, name, max) in names.into_iter().chain(others) {
            if name.is_some_and(|name| name.is_empty() || name.len() > max || name.contains(char::is_control)) {
                problems.push(InvalidSetting::new(field, format!("must have 1 to {max} bytes")));
            }
        }
        problems
    }

    /// The columns that name and template need; `None`: all, because there is no valid template.
    #[must_use]
    pub fn columns(&self) -> Option<BTreeSet<&str>> {
        let mut columns: BTreeSet<&str> = self.name.as_deref().into_iter().collect();
        let mut rest = self.template.as_deref()?;
        while let Some((_, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            columns.insert(name);
            rest = after;
        }
        Some(columns)
    }
}

const fn default_timeout() -> u32 {
    30
}

/// Credentials of a connection to a relational database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseCredentials {
    /// The user.
    #[schemars(with = "String", length(min = 1, max = 128))]
    pub user: Secret<String>,
    /// The password.
    #[schemars(with = "String", length(min = 1, max = 1024))]
    pub password: Secret<String>,
}

impl DatabaseSettings {
    /// The port of the server.
    #[must_use]
    pub fn port(&self, dialect: Dialect) -> u16 {
        self.port.unwrap_or_else(|| dialect.default_port())
    }

    /// The host without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Scheme, host and port; an address is one in every spelling.
    fn url(&self, dialect: Dialect) -> Option<Url> {
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        // Of special schemes only, hosts are read as addresses.
        let read = Url::parse(&format!("http://{host}/")).ok()?;
        Url::parse(&format!("{}://{}:{}", dialect.name(), read.host_str()?, self.port(dialect))).ok()
    }

    fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        let is_host = match self.host().contains(':') {
            true => self.host().parse::<std::net::Ipv6Addr>().is_ok(),
            false => self.host.len() <= 253 && Host::parse(&self.host).is_ok(),
        };
        if !is_host {
            problems.push(InvalidSetting::new("host", "must be a host name or an address"));
        }
        if self.port == Some(0) {
            problems.push(InvalidSetting::new("port", "must be between 1 and 65535"));
        }
        if self.database.is_empty() || self.database.len() > 63 || self.database.contains(char::is_control) {
            problems.push(InvalidSetting::new("database", "must have 1 to 63 bytes"));
        }
        if let Some(certificate) = &self.ca_certificate {
            let text = certificate.trim();
            let is_pem = text.starts_with("-----BEGIN CERTIFICATE-----") && text.ends_with("-----END CERTIFICATE-----");
            if certificate.len() > 65_536 || !is_pem {
                problems.push(InvalidSetting::new("caCertificate", "must be certificates in PEM"));
            }
            if self.tls != TlsMode::Verify {
                problems.push(InvalidSetting::new("tls", "must be `verify` if there is a `caCertificate`"));
            }
        }
        range(&mut problems, "timeoutSeconds", self.timeout_seconds, 1, 600);
        self.limits.check(&mut problems);
        problems
    }
}

impl DatabaseCredentials {
    fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        for (field, secret, max) in [("user", &self.user, 128), ("password", &self.password, 1024)] {
            let secret = secret.expose();
            if secret.is_empty() || secret.len() > max || secret.contains('\0') {
                problems.push(InvalidSetting::new(field, format!("must have 1 to {max} bytes")));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::validate, *};

    fn fields(settings: &Value) -> Vec<String> {
        let problems = validate("postgresql", settings, None).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn settings_of_databases_are_checked_by_field() {
        assert_eq!(fields(&json!({ "host": "db.example.org", "database": "d" })), Vec::<String>::new());
        assert_eq!(fields(&json!({ "host": "[2001:db8::1]", "database": "d", "port": 1 })), Vec::<String>::new());
        for host in ["", "a b", "/run/postgresql", "db:5432", "user@db"] {
            assert_eq!(fields(&json!({ "host": host, "database": "d" })), ["settings.host"], "{host}");
        }
        let settings = json!({ "host": "db", "database": "", "caCertificate": "x", "tls": "off", "timeoutSeconds": 0 });
        let expected = ["database", "caCertificate", "tls", "timeoutSeconds"];
        assert_eq!(fields(&settings), expected.map(|field| format!("settings.{field}")));
    }

    #[test]
    fn columns_of_a_stream_are_those_that_its_text_needs() {
        let stream = |settings: Value| serde_json::from_value::<RowStream>(settings).unwrap();
        let templated =
            stream(json!({ "table": "a", "key": "id", "name": "title", "template": "# {title}\n{body} {body}" }));
        assert_eq!(templated.columns(), Some(BTreeSet::from(["body", "title"])));
        assert_eq!(stream(json!({ "table": "a", "key": "id", "name": "title" })).columns(), None);
        let open = stream(json!({ "table": "a", "key": "id", "template": "{title" }));
        let fields: Vec<_> = open.problems(Dialect::MySql).into_iter().map(|problem| problem.field).collect();
        assert_eq!((open.columns(), fields), (None, vec!["template".to_owned()]));
    }

    #[test]
    fn address_of_a_database_is_one_in_every_spelling() {
        let url = |host: &str| {
            let settings: DatabaseSettings = serde_json::from_value(json!({ "host": host, "database": "d" })).unwrap();
            PostgreSql::address(&settings).unwrap().url
        };
        assert_eq!(url("2130706433"), url("127.0.0.1"));
        assert_eq!(url("::1"), url("[::1]"));
        assert_eq!(url("DB.example.org").as_str(), "postgresql://db.example.org:5432");
    }
}
