use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    super::{
        Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
        limits::{CallLimits, range},
        provider::schema,
        url_problem,
    },
    WebCredentials, default_timeout,
};

/// Maximum length of the name of a branch or tag, in bytes.
const MAX_REF_BYTES: usize = 255;
/// Maximum length of a path, in bytes.
const MAX_PATH_BYTES: usize = 4_096;

/// A Git repository over HTTP.
#[derive(Debug)]
pub struct Git;

/// Settings of a connection to a Git repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitSettings {
    /// The address of the repository, as `git clone` takes it.
    #[schemars(with = "String")]
    pub url: Url,
    /// The longest wait for a response to begin, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

impl ProviderSpec for Git {
    const NAME: &'static str = "git";
    const TITLE: &'static str = "Git repository";
    const KIND: ConnectionKind = ConnectionKind::Web;
    const CAPABILITIES: &'static [Capability] = &[Capability::Discover, Capability::Read, Capability::Incremental];
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = GitSettings;
    type Credentials = WebCredentials;

    fn settings_problems(settings: &GitSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        problems.extend(url_problem("url", &settings.url));
        range(&mut problems, "timeoutSeconds", settings.timeout_seconds, 1, 600);
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(credentials: &WebCredentials) -> Vec<InvalidSetting> {
        credentials.problems()
    }

    fn address(settings: &GitSettings) -> Option<Address> {
        Some(Address { field: "url", url: settings.url.clone() })
    }

    fn stream() -> Option<Schema> {
        Some(schema::<GitStream>())
    }
}

/// The setting `stream` of a `source.connection` that reads a Git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GitStream {
    /// The branch or tag, such as `main`, `refs/tags/v1`; absent: the default branch.
    #[schemars(length(max = 255))]
    #[serde(rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The folder to read, with everything below it; absent: all.
    #[schemars(length(max = 4096))]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl GitStream {
    /// Everything that the schema does not say.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        let is_odd = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        if self.reference.len() > MAX_REF_BYTES || self.reference.contains(is_odd) || self.reference.contains("..") {
            problems.push(InvalidSetting::new("ref", "must be the name of a branch or a tag"));
        }
        let climbs = self.path.split('/').any(|part| part == "..");
        if self.path.len() > MAX_PATH_BYTES || self.path.contains(char::is_control) || climbs {
            problems.push(InvalidSetting::new("path", "must be a path without `..` and control characters"));
        }
        problems
    }
}
