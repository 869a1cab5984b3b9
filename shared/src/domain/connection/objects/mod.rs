//! Connections to stores of objects and files.

mod azure_blob;
mod gcs;
mod local_folder;
mod s3;
mod sftp;
mod webdav;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::{
    azure_blob::{AzureBlob, AzureBlobCredentials, AzureBlobSettings},
    gcs::{Gcs, GcsCredentials, GcsSettings},
    local_folder::{LocalFolder, LocalFolderCredentials, LocalFolderSettings},
    s3::{S3, S3Credentials, S3Settings},
    sftp::{Sftp, SftpCredentials, SftpSettings},
    webdav::{WebDav, WebDavCredentials, WebDavSettings},
};
use super::{Capability, InvalidSetting, model::CallRate};

/// What every provider of objects can do.
const READS: &[Capability] = &[Capability::Discover, Capability::Read, Capability::ListIds];
/// What providers of files with owners can do.
const READS_WITH_ACL: &[Capability] = &[Capability::Discover, Capability::Read, Capability::ListIds, Capability::Acl];

/// Maximum length of a path, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// The setting `stream` of a `source.connection` that reads objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ObjectStream {
    /// The folder to read, with everything below it; absent: all.
    #[schemars(length(max = 4096))]
    pub path: String,
}

fn limits(concurrency: Option<u32>, rate_limit: Option<CallRate>, problems: &mut Vec<InvalidSetting>) {
    if concurrency.is_some_and(|limit| !(1..=1000).contains(&limit)) {
        problems.push(InvalidSetting::new("concurrency", "must be between 1 and 1000"));
    }
    if rate_limit.is_some_and(|rate| !(1..=1_000_000).contains(&rate.calls)) {
        problems.push(InvalidSetting::new("rateLimit.calls", "must be between 1 and 1000000"));
    }
    if rate_limit.is_some_and(|rate| !(1..=86_400).contains(&rate.per_seconds)) {
        problems.push(InvalidSetting::new("rateLimit.perSeconds", "must be between 1 and 86400"));
    }
}

fn text(field: &str, value: &str, max_chars: usize, problems: &mut Vec<InvalidSetting>) {
    if value.is_empty() || value.chars().count() > max_chars || value.contains(char::is_control) {
        problems.push(InvalidSetting::new(
            field,
            format!("must have 1 to {max_chars} characters, none of them a control character"),
        ));
    }
}

fn bucket(field: &str, value: &str, problems: &mut Vec<InvalidSetting>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$');
    if !(1..=255).contains(&value.len()) || !value.chars().all(allowed) || value.chars().all(|c| c == '.') {
        problems.push(InvalidSetting::new(field, "must have 1 to 255 letters, digits, `.`, `-` and `_`"));
    }
}

fn root(field: &str, value: &str, problems: &mut Vec<InvalidSetting>) {
    let climbs = value.split('/').any(|part| part == "..");
    if value.len() > MAX_PATH_BYTES || value.contains(char::is_control) || climbs {
        problems.push(InvalidSetting::new(field, "must be a path without `..` and control characters"));
    }
}

fn web_address(field: &str, url: &Url, problems: &mut Vec<InvalidSetting>) {
    if !["http", "https"].contains(&url.scheme()) || url.host().is_none() {
        problems.push(InvalidSetting::new(field, "must be an http or https URL"));
    } else if !url.username().is_empty() || url.password().is_some() {
        problems.push(InvalidSetting::new(field, "must not contain credentials"));
    } else if url.query().is_some() || url.fragment().is_some() {
        problems.push(InvalidSetting::new(field, "must have neither query nor fragment"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::connection::{provider, validate};

    #[test]
    fn settings_of_objects_are_checked() {
        for (name, settings, credentials, field) in [
            (
                "s3",
                json!({ "bucket": "a/../b" }),
                json!({ "accessKeyId": "a", "secretAccessKey": "b" }),
                "settings.bucket",
            ),
            (
                "s3",
                json!({ "bucket": "b", "endpoint": "ftp://h/" }),
                json!({ "accessKeyId": "a", "secretAccessKey": "b" }),
                "settings.endpoint",
            ),
            (
                "gcs",
                json!({ "bucket": "b" }),
                json!({ "serviceAccount": { "type": "external_account" } }),
                "credentials.serviceAccount.type",
            ),
            ("azure_blob", json!({ "account": "a", "container": "c" }), json!({}), "credentials"),
            ("webdav", json!({ "url": "https://u:p@h/" }), json!({ "username": "u", "password": "p" }), "settings.url"),
            (
                "sftp",
                json!({ "host": "h", "hostKey": "nonsense" }),
                json!({ "username": "u", "password": "p" }),
                "settings.hostKey",
            ),
            ("local_folder", json!({ "path": "relative" }), json!({}), "settings.path"),
        ] {
            let problems = validate(name, &settings, Some(&credentials)).unwrap_err();
            assert!(problems.iter().any(|problem| problem.field == field), "{name}: {problems:?}");
        }
    }

    #[test]
    fn address_of_a_store_follows_from_its_settings() {
        let address = |name: &str, settings: serde_json::Value| {
            provider(name).unwrap().address(&settings).map(|address| address.url.to_string())
        };
        assert_eq!(
            address("s3", json!({ "bucket": "b", "region": "eu-west-1" })).unwrap(),
            "https://s3.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            address("azure_blob", json!({ "account": "acc", "container": "c" })).unwrap(),
            "https://acc.blob.core.windows.net/"
        );
        assert_eq!(
            address("sftp", json!({ "host": "files.example.org", "port": 2222, "hostKey": "x" })).unwrap(),
            "ssh://files.example.org:2222"
        );
        assert_eq!(address("local_folder", json!({ "path": "/srv" })), None);
    }
}
