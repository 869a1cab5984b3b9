//! The response of an upload.

use apistos::ApiComponent;
use nvisy_shared::store::file::FileView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::File;
use crate::upload;

/// The accepted files, in the order of the upload.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Accepted")]
pub struct AcceptedFiles {
    /// The files, one for each part of the upload.
    pub items: Vec<AcceptedFile>,
}

/// A file of an upload.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedFile {
    #[serde(flatten)]
    pub file: File,
    /// The effect of the upload on the file.
    pub outcome: UploadOutcome,
}

/// The effect of an upload on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadOutcome {
    /// The file is new.
    Created,
    /// The file with the external id has a new version.
    NewVersion,
    /// The newest version of the file with the external id has this content already. Changes of name, tags and metadata are
    /// stored.
    Unchanged,
}

impl From<(FileView, upload::UploadOutcome)> for AcceptedFile {
    fn from((file, outcome): (FileView, upload::UploadOutcome)) -> Self {
        let outcome = match outcome {
            upload::UploadOutcome::Created => UploadOutcome::Created,
            upload::UploadOutcome::NewVersion => UploadOutcome::NewVersion,
            upload::UploadOutcome::Unchanged => UploadOutcome::Unchanged,
        };
        Self { file: file.into(), outcome }
    }
}
