//! A version of a file in responses.

use apistos::ApiComponent;
use chrono::{DateTime, Utc};
use nvisy_shared::entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::file::{Failure, FileState};

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
