use std::path::Path;

use json_schema::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{
    rules::{OBJECTS_WITH_ACL, root},
    stream::ObjectStream,
};
use crate::domain::connection::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec, limits::CallLimits, provider::schema,
};

/// A folder of the machines on which workers run, below a root that the operator allows.
#[derive(Debug)]
pub struct LocalFolder;

/// Settings of a connection to a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalFolderSettings {
    /// The folder, below one that the operator allows (`NVISY_OUTBOUND_LOCAL_FOLDERS`).
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

/// A folder needs no credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalFolderCredentials {}

impl ProviderSpec for LocalFolder {
    const NAME: &'static str = "local_folder";
    const TITLE: &'static str = "Folder of the server";
    const KIND: ConnectionKind = ConnectionKind::Objects;
    const CAPABILITIES: &'static [Capability] = OBJECTS_WITH_ACL;
    const NEEDS_CREDENTIALS: bool = false;
    type Settings = LocalFolderSettings;
    type Credentials = LocalFolderCredentials;

    fn settings_problems(settings: &LocalFolderSettings) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        root("path", &settings.path, &mut problems);
        if !Path::new(&settings.path).is_absolute() {
            problems.push(InvalidSetting::new("path", "must be an absolute path"));
        }
        settings.limits.check(&mut problems);
        problems
    }

    fn credentials_problems(_: &LocalFolderCredentials) -> Vec<InvalidSetting> {
        Vec::new()
    }

    fn address(_: &LocalFolderSettings) -> Option<Address> {
        None
    }

    fn stream() -> Option<Schema> {
        Some(schema::<ObjectStream>())
    }
}
