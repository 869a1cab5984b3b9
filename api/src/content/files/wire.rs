//! What the file operations take and give.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::{domain, store::file::FileView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Which file.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct FilePath {
    /// The file's id.
    pub file: Uuid,
}

/// A file: itself, its newest version, and how far that has come.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its name for ever.
    pub id: Uuid,
    /// The name it was uploaded under, without any path.
    pub name: String,
    /// What the content is: first as declared, then as found.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
    /// The newest version's id.
    pub version_id: Uuid,
    /// The newest version's number, from 1.
    pub version: i32,
    /// Pages, where the content has pages and has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<i32>,
    /// Chunks, once it has been cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<i32>,
    /// Labels.
    pub tags: Vec<String>,
    /// Anything the owner knows about it.
    pub metadata: Value,
    /// Where it is on its way to being searchable.
    pub state: FileState,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Where a file is on its way to being searchable. It ends `ready` or `failed`, whatever happens on the way.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// AcceptedFiles; no worker has begun.
    Queued,
    /// Being read, cut or embedded.
    Processing,
    /// Searchable.
    Ready,
    /// It will not become searchable; `failure` says why.
    Failed,
}

/// How far a file has come.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The step of the pipeline it is at.
    pub stage: String,
    /// Units of the step that are done for good.
    pub done: i32,
    /// Units of the step in all, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
}

/// Why a file failed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The reason, for machines: `unsupported_media`, `encrypted`, `corrupt`, `empty`, `too_large`, `timed_out`,
    /// `out_of_memory`, `provider_rejected`, `quota_exceeded` or `attempts_exhausted`.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

/// The accepted files, in the order of the upload.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
pub struct AcceptedFiles {
    /// One for each part of the upload.
    pub items: Vec<File>,
}

impl From<FileView> for File {
    fn from(file: FileView) -> Self {
        let failure = file.failure();
        Self {
            id: file.id.0,
            name: file.name,
            media_type: file.media_type,
            size: file.bytes,
            sha256: hex::encode(file.sha256),
            version_id: file.version_id.0,
            version: file.number,
            page_count: file.page_count,
            chunk_count: file.chunk_count,
            tags: file.tags,
            metadata: file.metadata,
            state: file.state.into(),
            progress: file.stage.map(|stage| Progress { stage, done: file.done.unwrap_or(0), total: file.total }),
            failure: failure.map(|failure| Failure { code: failure.code.as_str().to_owned(), detail: failure.detail }),
            created_at: file.created_at,
            updated_at: file.updated_at,
        }
    }
}

impl From<domain::file::FileState> for FileState {
    fn from(state: domain::file::FileState) -> Self {
        match state {
            domain::file::FileState::Queued => Self::Queued,
            domain::file::FileState::Processing => Self::Processing,
            domain::file::FileState::Ready => Self::Ready,
            domain::file::FileState::Failed => Self::Failed,
        }
    }
}
