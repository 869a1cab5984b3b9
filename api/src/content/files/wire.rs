//! Requests and responses of the file operations.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use garde::Validate;
use nvisy_shared::{
    domain::{
        self,
        failure::FailureCode,
        file::{MAX_TAG_CHARS, MAX_TAGS, clean_tags},
        filter::{Filter, FilterErrorKind},
    },
    entity,
    id::FileId,
    store::file::{FileQuery, FileView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::service::{FileChange, MetadataChange};
use crate::{
    http::{
        pagination::default_limit,
        string_schema::{FileName, Opaque, Text, failure_codes, file_states},
        validation::{self, nullable, text},
    },
    problem::{Code, FieldError, Problem},
    upload,
};

/// The path of a file.
#[derive(Debug, Deserialize, JsonSchema, ApiComponent)]
pub struct FilePath {
    /// The file's id.
    pub file: Uuid,
}

/// The version of a file to return.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionQuery {
    /// The id of the version, as in search hits; absent: the newest.
    #[garde(skip)]
    pub version_id: Option<Uuid>,
}

/// Conditions and page of a list of files.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ListQuery {
    /// Only files that match this filter: JSON, as in searches. Media type, size, pages, state and failure are
    /// those of the newest version.
    filter: Option<String>,
    /// Only files in this state.
    #[serde(default)]
    #[schemars(schema_with = "file_states")]
    state: Option<domain::file::FileState>,
    /// Only files that failed with this code.
    #[serde(default)]
    #[schemars(schema_with = "failure_codes")]
    failure: Option<FailureCode>,
    /// Only files with this tag.
    tag: Option<String>,
    /// Only the file with this external id.
    external_id: Option<String>,
    /// Only files that pipelines made from this file.
    parent_id: Option<Uuid>,
    /// The largest number of items in the response.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// `nextCursor` of the previous page; absent for the first page.
    #[schemars(with = "Option<Opaque>")]
    pub cursor: Option<String>,
}

impl ListQuery {
    /// The conditions; 400 if the filter is invalid.
    pub fn conditions(&self) -> Result<FileQuery, Problem> {
        let filter = self.filter.as_deref().map(parse_filter).transpose()?;
        Ok(FileQuery {
            before: None,
            filter,
            state: self.state,
            failure: self.failure,
            tag: self.tag.clone(),
            external_id: self.external_id.clone(),
            parent: self.parent_id.map(FileId),
        })
    }
}

fn parse_filter(json: &str) -> Result<Filter, Problem> {
    let invalid = |field: String, message: String| {
        let error = FieldError::new(field, message);
        Problem::new(Code::InvalidQuery).detail(error.to_string()).fields(vec![error])
    };
    let value =
        serde_json::from_str(json).map_err(|error| invalid("filter".to_owned(), format!("must be JSON: {error}")))?;
    Filter::parse(&value).map_err(|error| {
        let separator = if error.path.is_empty() { "" } else { "." };
        let path = format!("filter{separator}{}", error.path);
        match error.kind {
            FilterErrorKind::UnknownField | FilterErrorKind::UnknownOperator => {
                Problem::new(Code::InvalidFilter).detail(format!("{path} {}", error.kind))
            }
            rule => invalid(path, rule.to_string()),
        }
    })
}

/// Changes of a file; absent fields keep their value.
#[derive(Debug, Deserialize, Validate, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = "change_example")]
pub struct ChangeFile {
    /// The name, without a path.
    #[garde(inner(custom(validation::file_name)))]
    #[schemars(with = "Option<FileName>")]
    pub name: Option<String>,
    /// All tags; `null`: none.
    #[garde(inner(inner(length(max = MAX_TAGS), inner(custom(text(1, MAX_TAG_CHARS))))))]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Vec<Text<1, 100>>>", length(max = 100))]
    pub tags: Option<Option<Vec<String>>>,
    /// Changes of the metadata, as JSON Merge Patch (RFC 7396): keys that are absent stay, `null` removes a key, objects are
    /// merged. `null` instead of an object removes all metadata.
    #[garde(skip)]
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub metadata: Option<Option<Map<String, Value>>>,
}

fn change_example() -> Value {
    json!({ "tags": ["manual", "safety"], "metadata": { "review": { "state": "approved" }, "draft": null } })
}

impl From<ChangeFile> for FileChange {
    fn from(body: ChangeFile) -> Self {
        Self {
            name: body.name.map(|name| name.trim().to_owned()),
            tags: body.tags.map(|tags| clean_tags(tags.unwrap_or_default())),
            metadata: body.metadata.map(|metadata| metadata.map_or(MetadataChange::Clear, MetadataChange::Merge)),
        }
    }
}

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

/// A version of a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema, ApiComponent)]
#[serde(rename_all = "camelCase")]
pub struct FileVersion {
    /// The version's id.
    pub id: Uuid,
    /// The number, from 1.
    pub version: i32,
    /// The media type: first the declared one, then the detected one.
    pub media_type: String,
    /// The size in bytes.
    pub size: i64,
    /// The SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The number of pages, once extracted; absent for content without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<i32>,
    /// The number of chunks, once the text is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<i32>,
    /// The state of the indexing.
    pub state: FileState,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether search finds this version.
    pub live: bool,
    /// The time of the upload.
    pub created_at: DateTime<Utc>,
    /// The time of the last change.
    pub updated_at: DateTime<Utc>,
}

/// A row of a version, and whether search finds it.
#[derive(Debug)]
pub struct VersionRow {
    pub row: entity::file_version::Model,
    pub live: bool,
}

impl From<VersionRow> for FileVersion {
    fn from(VersionRow { row, live }: VersionRow) -> Self {
        let failure = row
            .failure_code
            .map(|code| Failure { code: code.as_str().to_owned(), detail: row.failure_detail.unwrap_or_default() });
        Self {
            id: row.id.0,
            version: row.number,
            media_type: row.media_type,
            size: row.bytes,
            sha256: hex::encode(row.sha256),
            page_count: row.page_count,
            chunk_count: row.chunk_count,
            state: row.state.into(),
            failure,
            live,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
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
