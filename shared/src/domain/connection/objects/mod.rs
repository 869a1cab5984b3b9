//! Connections to stores of objects and files.

mod azure_blob;
mod gcs;
mod local_folder;
mod rules;
mod s3;
mod sftp;
mod stream;
mod webdav;

pub use self::{
    azure_blob::{AzureBlob, AzureBlobCredentials, AzureBlobSettings},
    gcs::{Gcs, GcsCredentials, GcsSettings},
    local_folder::{LocalFolder, LocalFolderCredentials, LocalFolderSettings},
    rules::MAX_PATH_BYTES,
    s3::{S3, S3Credentials, S3Settings},
    sftp::{Sftp, SftpCredentials, SftpSettings},
    stream::ObjectStream,
    webdav::{WebDav, WebDavCredentials, WebDavSettings},
};

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
                json!({ "bucket": "b", "endpoint": "ftp://h/", "virtualHost": true }),
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
