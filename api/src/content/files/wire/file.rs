//! A file in responses, with the state of its indexing.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::{domain, store::file::FileView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A file, its newest version, and the state of its indexing.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// The file's id.
    pub id: Uuid,
    /// The file that a pipeline made this one from: an archive, a mail, or the source of a derived file. It takes this one along
    /// when it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<Uuid>,
    /// The id of the file in the system that it comes from, if the upload had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The id of the connection that the file is kept in step with, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<Uuid>,
    /// Who may read the file at its source, as the source says it. It is shown only: Nvisy does not enforce it, and every member who
    /// may read files reads this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Value>,
    /// When a sync found that the source has deleted the file, which stays here by the setting of the pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_deleted_at: Option<DateTime<Utc>>,
    /// The name, without a path.
    pub name: String,
    /// The media type: first the declared one, then the detected one.
    pub media_type: String,
    /// The size in bytes.
    pub size: i64,
    /// The SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The id of the newest version.
    pub version_id: Uuid,
    /// The number of the newest version, from 1.
    pub version: i32,
    /// The id of the version that search finds: the newest one that became `ready`; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_version_id: Option<Uuid>,
    /// The number of pages, once extracted; absent for content without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<i32>,
    /// The number of chunks, once the text is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<i32>,
    /// The file's tags.
    pub tags: Vec<String>,
    /// Custom metadata.
    #[schemars(with = "Map<String, Value>")]
    pub metadata: Value,
    /// The state of the indexing.
    pub state: FileState,
    /// The progress of the indexing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why the indexing waits, where a member or an operator can remedy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The time of the first upload.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// The state of a file's indexing. Every file becomes `ready` or `failed`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Accepted; no worker has started on the file.
    Queued,
    /// A worker extracts, splits or embeds the file.
    Processing,
    /// The file is searchable.
    Ready,
    /// The file will not become searchable; `failure` has the reason.
    Failed,
}

/// The progress of a file's indexing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The current step of the pipeline.
    pub stage: String,
    /// The finished units of the step.
    pub done: i32,
    /// All units of the step, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i32>,
}

/// Why work waits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The reason, such as the message of a provider.
    pub reason: String,
    /// The time of the next attempt; the wait costs none.
    pub until: DateTime<Utc>,
}

/// The reason of a failed indexing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The reason, for machines: `unsupported_media`, `encrypted`, `corrupt`, `empty`, `too_large`, `timed_out`,
    /// `out_of_memory`, `provider_rejected`, `quota_exceeded`, `check_failed`, `expression_failed`, `collection_not_found`,
    /// `connection_not_found`, `target_mismatch`, `invalid_model_output`, `budget_exceeded`, `cancelled` or `attempts_exhausted`.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

impl From<FileView> for File {
    fn from(file: FileView) -> Self {
        let failure = file.failure();
        Self {
            id: file.id.0,
            parent_id: file.parent_id.map(|id| id.0),
            external_id: file.external_id,
            connection_id: file.source.strip_prefix("connection:").and_then(|id| id.parse().ok()),
            acl: file.acl,
            source_deleted_at: file.source_deleted_at,
            name: file.name,
            media_type: file.media_type,
            size: file.bytes,
            sha256: hex::encode(file.sha256),
            version_id: file.version_id.0,
            version: file.number,
            live_version_id: file.live_version_id.map(|version| version.0),
            page_count: file.page_count,
            chunk_count: file.chunk_count,
            tags: file.tags,
            metadata: file.metadata,
            state: file.state.into(),
            progress: file.stage.map(|stage| Progress { stage, done: file.done.unwrap_or(0), total: file.total }),
            waiting: file.wait_reason.zip(file.wait_until).map(|(reason, until)| Waiting { reason, until }),
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
